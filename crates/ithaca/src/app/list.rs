//! `ithaca app list`.

use comfy_table::Cell;
use ithaca_api::Application;
use jiff::Timestamp;

use super::{
    cluster::{Cluster, parse},
    text,
};
use crate::output::{self, Format};

/// Lists the Applications. One that cannot be read is named on standard error and left out of the table.
pub async fn run(cluster: &Cluster, all_namespaces: bool, format: Format) -> anyhow::Result<()> {
    let objects = cluster.list(all_namespaces).await?;
    if matches!(format, Format::Json | Format::Yaml) {
        return output::print(&output::encode(&output::list(&objects), format == Format::Yaml)?);
    }
    let mut applications = Vec::with_capacity(objects.len());
    for object in &objects {
        match parse(object) {
            Ok(application) => applications.push(application),
            Err(error) => eprintln!("ithaca: {error:#}"),
        }
    }
    if objects.is_empty() {
        let place = if all_namespaces { "the cluster" } else { &format!("namespace {}", cluster.namespace) };
        eprintln!("no applications in {place}");
        return Ok(());
    }
    output::print(&table(&applications, all_namespaces, format == Format::Wide, Timestamp::now()))
}

fn table(applications: &[Application], with_namespace: bool, is_wide: bool, now: Timestamp) -> String {
    let mut header = vec!["NAME", "SYNC", "HEALTH", "REVISION", "LAST OPERATION", "AGE"];
    if with_namespace {
        header.insert(0, "NAMESPACE");
    }
    if is_wide {
        header.extend(["PROJECT", "DESTINATION", "SOURCE", "CONDITIONS"]);
    }
    let mut table = text::table(&header);
    for application in applications {
        table.add_row(row(application, with_namespace, is_wide, now));
    }
    text::lines(table)
}

fn row(application: &Application, with_namespace: bool, is_wide: bool, now: Timestamp) -> Vec<Cell> {
    let metadata = &application.metadata;
    let mut cells = Vec::with_capacity(11);
    if with_namespace {
        cells.push(Cell::new(metadata.namespace.as_deref().unwrap_or_default()));
    }
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
    cells.extend([
        Cell::new(metadata.name.as_deref().unwrap_or_default()),
        text::sync_cell(text::sync_status(application)),
        text::health_cell(text::health_status(application)),
        Cell::new(text::compared(application)),
        last_operation(application, now),
        Cell::new(created.map(|created| text::span(now.as_second() - created)).unwrap_or_default()),
    ]);
    if is_wide {
        let sources: Vec<String> = application.spec.sources().iter().map(text::source).collect();
        cells.extend([
            Cell::new(application.spec.project()),
            Cell::new(text::destination(application)),
            Cell::new(sources.join("; ")),
            Cell::new(conditions(application)),
        ]);
    }
    cells
}

fn last_operation(application: &Application, now: Timestamp) -> Cell {
    let state = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    let Some(state) = state else {
        return Cell::new("");
    };
    let since = state.finished_at.unwrap_or(state.started_at).0.as_second();
    let text = format!("{} {} ago", state.phase, text::span(now.as_second() - since));
    text::phase_cell(&text, state.phase)
}

fn conditions(application: &Application) -> String {
    let status = application.status.as_ref();
    let mut types: Vec<&str> = status
        .iter()
        .flat_map(|status| &status.conditions)
        .map(|condition| condition.type_.as_str())
        .collect();
    types.dedup();
    types.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::describe::sample;

    #[test]
    fn the_table_shows_what_matters_and_wide_shows_more() {
        let bare = serde_json::json!({
            "metadata": {"name": "bare", "namespace": "argocd"},
            "spec": {"destination": {}, "project": ""},
        });
        let applications = [sample::application(), serde_json::from_value(bare).expect("an application")];
        let now = sample::NOW.parse().expect("a time");
        insta::assert_snapshot!(table(&applications, false, false, now), @r#"
        NAME  SYNC       HEALTH    REVISION  LAST OPERATION  AGE
        web   OutOfSync  Degraded  0123456   Failed 9m ago   32d
        bare  Unknown    Unknown
        "#);
        insta::assert_snapshot!(table(&applications, true, true, now), @r#"
        NAMESPACE  NAME  SYNC       HEALTH    REVISION  LAST OPERATION  AGE  PROJECT  DESTINATION     SOURCE                                        CONDITIONS
        argocd     web   OutOfSync  Degraded  0123456   Failed 9m ago   32d  default  in-cluster/web  https://example.org/repo.git apps/web @ HEAD  SyncError
        argocd     bare  Unknown    Unknown                                  default
        "#);
    }
}
