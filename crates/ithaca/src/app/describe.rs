//! `ithaca app get`: everything about one Application, on one page.

#[cfg(test)]
pub mod sample;

use comfy_table::Cell;
use ithaca_api::{
    Application,
    status::{ApplicationStatus, Condition, OperationState, ResourceStatus, RevisionHistory},
};
use jiff::Timestamp;

use super::{
    cluster::{Cluster, parse},
    text,
};
use crate::output::{self, Format};

/// Shows one Application.
pub async fn run(cluster: &Cluster, name: &str, format: Format) -> anyhow::Result<()> {
    let object = cluster.get(name).await?;
    if matches!(format, Format::Json | Format::Yaml) {
        let value = serde_json::to_value(&object)?;
        return output::print(&output::encode(&value, format == Format::Yaml)?);
    }
    output::print(&page(&parse(&object)?, Timestamp::now()))
}

fn page(application: &Application, now: Timestamp) -> String {
    let empty = ApplicationStatus::default();
    let status = application.status.as_ref().unwrap_or(&empty);
    let mut page = facts(application, now);
    if !status.conditions.is_empty() {
        page += &section("CONDITIONS", &conditions(&status.conditions, now));
    }
    if let Some(state) = &status.operation_state {
        page += &section("LAST OPERATION", &operation(state, now));
    }
    if !status.resources.is_empty() {
        page += &section("RESOURCES", &resources(&status.resources, status.operation_state.as_ref()));
    }
    if !status.history.is_empty() {
        page += &section("HISTORY", &history(&status.history, now));
    }
    page
}

fn section(title: &str, body: &str) -> String {
    format!("\n{title}\n{body}")
}

fn facts(application: &Application, now: Timestamp) -> String {
    let metadata = &application.metadata;
    let mut table = text::table(&[]);
    let mut fact = |name: &str, cell: Cell| {
        table.add_row([Cell::new(name), cell]);
    };
    fact("Name", Cell::new(metadata.name.as_deref().unwrap_or_default()));
    fact("Namespace", Cell::new(metadata.namespace.as_deref().unwrap_or_default()));
    fact("Project", Cell::new(application.spec.project()));
    for source in application.spec.sources() {
        fact("Source", Cell::new(text::source(source)));
    }
    fact("Destination", Cell::new(text::destination(application)));
    fact("Sync policy", Cell::new(sync_policy(application)));
    fact("Sync", text::sync_cell(text::sync_status(application)));
    fact("Health", text::health_cell(text::health_status(application)));
    fact("Revision", Cell::new(text::compared(application)));
    if let Some(created) = &metadata.creation_timestamp {
        fact("Age", Cell::new(text::span(now.as_second() - created.0.as_second())));
    }
    if metadata.deletion_timestamp.is_some() {
        fact("Deletion", Cell::new("under way"));
    }
    text::lines(table)
}

fn sync_policy(application: &Application) -> String {
    let policy = application.spec.sync_policy.as_ref();
    let Some(automated) = policy.and_then(|policy| policy.automated()) else {
        return "manual".to_owned();
    };
    let mut words = vec!["automated"];
    if automated.prune {
        words.push("prune");
    }
    if automated.self_heal {
        words.push("self-heal");
    }
    words.join(", ")
}

fn conditions(conditions: &[Condition], now: Timestamp) -> String {
    let mut table = text::table(&["TYPE", "SINCE", "MESSAGE"]);
    for condition in conditions {
        let since =
            condition.last_transition_time.map(|time| text::span(now.as_second() - time.0.as_second()));
        let colour =
            if condition.type_.is_error() { comfy_table::Color::Red } else { comfy_table::Color::Yellow };
        table.add_row([
            Cell::new(condition.type_).fg(colour),
            Cell::new(since.unwrap_or_default()),
            Cell::new(&condition.message),
        ]);
    }
    text::lines(table)
}

fn operation(state: &OperationState, now: Timestamp) -> String {
    let ago = |time: ithaca_api::Time| format!("{} ago", text::span(now.as_second() - time.0.as_second()));
    let mut table = text::table(&[]);
    let mut fact = |name: &str, cell: Cell| {
        table.add_row([Cell::new(name), cell]);
    };
    fact("Phase", text::phase_cell(state.phase.as_str(), state.phase));
    if !state.message.is_empty() {
        fact("Message", Cell::new(&state.message));
    }
    if let Some(result) = &state.sync_result {
        fact("Revision", Cell::new(text::revisions(&result.revision, &result.revisions)));
    }
    let by = &state.operation.initiated_by;
    let by = if by.automated || by.username.is_empty() { "automated" } else { &by.username };
    fact("Initiated by", Cell::new(by));
    fact("Started", Cell::new(ago(state.started_at)));
    if let Some(finished) = state.finished_at {
        fact("Finished", Cell::new(ago(finished)));
    }
    if state.retry_count > 0 {
        fact("Retries", Cell::new(state.retry_count));
    }
    text::lines(table)
}

fn resources(resources: &[ResourceStatus], state: Option<&OperationState>) -> String {
    let mut table = text::table(&["KIND", "NAMESPACE", "NAME", "SYNC", "HEALTH", "MESSAGE"]);
    for resource in resources {
        let health = resource.health.as_ref().and_then(|health| health.status);
        let kind = if resource.group.is_empty() {
            resource.kind.clone()
        } else {
            format!("{}/{}", resource.group, resource.kind)
        };
        table.add_row([
            Cell::new(kind),
            Cell::new(&resource.namespace),
            Cell::new(&resource.name),
            resource.status.map_or_else(|| Cell::new(""), text::sync_cell),
            health.map_or_else(|| Cell::new(""), text::health_cell),
            Cell::new(message(resource, state)),
        ]);
    }
    text::lines(table)
}

/// Why the resource is not well, else what the last operation said of it.
fn message<'a>(resource: &'a ResourceStatus, state: Option<&'a OperationState>) -> &'a str {
    if resource.requires_pruning {
        return "is no longer in the source";
    }
    let health = resource.health.as_ref().map_or("", |health| health.message.as_str());
    if !health.is_empty() {
        return health;
    }
    let results =
        state.and_then(|state| state.sync_result.as_ref()).map_or(&[][..], |result| &result.resources);
    let result = results.iter().find(|result| {
        (&result.group, &result.kind, &result.namespace, &result.name)
            == (&resource.group, &resource.kind, &resource.namespace, &resource.name)
    });
    result.map_or("", |result| &result.message)
}

fn history(history: &[RevisionHistory], now: Timestamp) -> String {
    let mut table = text::table(&["ID", "REVISION", "DEPLOYED", "INITIATED BY"]);
    for deployment in history.iter().rev() {
        let by = &deployment.initiated_by;
        table.add_row([
            deployment.id.to_string(),
            text::revisions(&deployment.revision, &deployment.revisions),
            format!("{} ago", text::span(now.as_second() - deployment.deployed_at.0.as_second())),
            if by.automated { "automated".to_owned() } else { by.username.clone() },
        ]);
    }
    text::lines(table)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_tells_all() {
        let now = super::sample::NOW.parse().expect("a time");
        insta::assert_snapshot!(super::page(&super::sample::application(), now), @r#"
        Name         web
        Namespace    argocd
        Project      default
        Source       https://example.org/repo.git apps/web @ HEAD
        Destination  in-cluster/web
        Sync policy  automated, prune, self-heal
        Sync         OutOfSync
        Health       Degraded
        Revision     0123456
        Age          32d

        CONDITIONS
        TYPE       SINCE  MESSAGE
        SyncError  30s    Failed last sync attempt

        LAST OPERATION
        Phase         Failed
        Message       one or more objects failed to apply
        Revision      0123456
        Initiated by  ada
        Started       10m ago
        Finished      9m ago
        Retries       2

        RESOURCES
        KIND             NAMESPACE  NAME  SYNC       HEALTH    MESSAGE
        Service          web        api   Synced     Healthy   service/api serverside-applied
        apps/Deployment  web        api   OutOfSync  Degraded  quota exceeded
        ConfigMap        web        old   OutOfSync            is no longer in the source

        HISTORY
        ID  REVISION  DEPLOYED  INITIATED BY
        1   0123456   4h ago    automated
        0   1.2.3     28h ago   ada
        "#);
    }
}
