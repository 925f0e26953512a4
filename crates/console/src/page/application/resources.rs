//! The objects that an Application manages: those with a problem first.

use ithaca_api::{HealthStatusCode, SyncStatusCode, status::ResourceStatus};
use maud::{Markup, html};

use crate::page::{badge, text};

pub fn resources(base: &str, resources: &[ResourceStatus]) -> Markup {
    let mut sorted: Vec<&ResourceStatus> = resources.iter().collect();
    sorted.sort_by_key(|resource| !has_problem(resource));
    let problems = sorted.iter().filter(|resource| has_problem(resource)).count();
    html! {
        section.card aria-labelledby="resources-title" {
            h2 #resources-title {
                "Resources "
                span.dim {
                    (text::count(resources.len(), "object"))
                    @if problems > 0 { ", " (problems) " to look at" }
                }
            }
            @if resources.is_empty() {
                p.none { "Nothing is managed yet." }
            } @else {
                table.resources {
                    thead { tr {
                        th scope="col" { "Kind" }
                        th scope="col" { "Name" }
                        th scope="col" { "Sync" }
                        th scope="col" { "Health" }
                    } }
                    tbody { @for resource in sorted { (row(base, resource)) } }
                }
            }
        }
    }
}

fn has_problem(resource: &ResourceStatus) -> bool {
    let health = resource.health.as_ref().and_then(|health| health.status);
    let is_well = matches!(health, None | Some(HealthStatusCode::Healthy | HealthStatusCode::Suspended));
    resource.status != Some(SyncStatusCode::Synced) || !is_well
}

fn row(base: &str, resource: &ResourceStatus) -> Markup {
    let health = resource.health.as_ref();
    let message = health.map_or("", |health| health.message.as_str());
    html! {
        tr {
            td.kind { (resource.kind) @if !resource.group.is_empty() { span.sub { (resource.group) } } }
            th.name scope="row" {
                @if resource.group == ithaca_api::GROUP && resource.kind == "Application" {
                    a href={ (base) "/applications/" (resource.namespace) "/" (resource.name) } { (resource.name) }
                } @else {
                    (resource.name)
                }
                span.sub {
                    (resource.namespace)
                    @if resource.sync_wave != 0 { " · wave " (resource.sync_wave) }
                    @if resource.hook { " · hook" }
                }
                @if resource.requires_pruning { p.message { "Is no longer in the source." } }
                @if resource.requires_deletion_confirmation { p.message { "Deletion waits for confirmation." } }
                @if !message.is_empty() { p.message { (message) } }
            }
            td.sync { @if let Some(status) = resource.status { (badge::sync(status)) } }
            td.health { @if let Some(status) = health.and_then(|health| health.status) { (badge::health(status)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource(value: serde_json::Value) -> ResourceStatus {
        serde_json::from_value(value).expect("a resource")
    }

    #[test]
    fn problems_come_first_and_are_counted() {
        let html = resources("", &[
            resource(json!({"kind": "Service", "name": "well", "status": "Synced", "health": {"status": "Healthy"}})),
            resource(json!({"kind": "ConfigMap", "name": "plain", "status": "Synced"})),
            resource(json!({"kind": "Deployment", "name": "ill", "status": "Synced", "health": {"status": "Degraded"}})),
            resource(json!({"kind": "Secret", "name": "drifted", "status": "OutOfSync"})),
        ])
        .into_string();
        let position = |name: &str| html.find(&format!(">{name}<")).expect(name);
        assert!(position("ill") < position("well") && position("drifted") < position("plain"));
        assert!(html.contains("2 to look at"), "{html}");
    }

    #[test]
    fn text_from_a_cluster_is_never_markup() {
        let html =
            resources("", &[resource(json!({"kind": "<script>", "name": "\"><img src=x>"}))]).into_string();
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
    }

    #[test]
    fn a_child_application_leads_to_its_own_page() {
        let child =
            json!({"group": "argoproj.io", "kind": "Application", "namespace": "argocd", "name": "web"});
        let html = resources("/ithaca", &[resource(child)]).into_string();
        assert!(html.contains("href=\"/ithaca/applications/argocd/web\""), "{html}");
    }
}
