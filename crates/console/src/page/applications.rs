//! The list of Applications: counts by state, a filter, and a row for each.

use std::{collections::BTreeMap, sync::Arc};

use ithaca_api::{HealthStatusCode, SyncStatusCode};
use maud::{Markup, html};

use super::{
    badge::{self, Tone},
    layout::{Live, document},
    text,
};
use crate::summary::Summary;

/// The page of all Applications. `namespace` is the one that needs no mention.
pub fn page(base: &str, namespace: &str, live: &Live, summaries: &[Arc<Summary>]) -> Markup {
    let main = html! {
        div.heading {
            h1 { "Applications" }
            form.filter role="search" {
                (badge::icon("search"))
                input #filter type="search" name="q" placeholder="Filter by name, project, source or state"
                    aria-label="Filter applications" autocomplete="off" spellcheck="false";
            }
        }
        (counts(summaries))
        div.card {
            table #applications.list {
                thead {
                    tr {
                        th scope="col" { "Name" }
                        th scope="col" { "Sync" }
                        th scope="col" { "Health" }
                        th scope="col" { "Revision" }
                        th scope="col" { "Source" }
                        th scope="col" { "Last operation" }
                    }
                }
                tbody #rows data-base=(base) { (rows(base, namespace, summaries)) }
            }
            p #none.none hidden[!summaries.is_empty()] { "No application yet. Apply an Application, and it shows here at once." }
            p #unmatched.none hidden { "Nothing matches. " button.plain type="button" #clear { "Show all" } }
        }
    };
    document(base, "Applications", Some(live), &main)
}

/// The rows of all Applications.
pub fn rows(base: &str, namespace: &str, summaries: &[Arc<Summary>]) -> Markup {
    html! { @for summary in summaries { (row(base, namespace, summary)) } }
}

/// One row. Its data attributes are what the filter and the counts go by.
pub fn row(base: &str, namespace: &str, summary: &Summary) -> Markup {
    let path = format!("{base}/applications/{}/{}", summary.namespace, summary.name);
    html! {
        tr data-key={ (summary.namespace) "/" (summary.name) }
            data-sync=(summary.sync) data-health=(summary.health) data-words=(words(summary)) {
            th.name scope="row" {
                a href=(path) { (summary.name) }
                @if summary.namespace != namespace { span.sub { (summary.namespace) } }
                @if summary.project != "default" && !summary.project.is_empty() { span.sub { (summary.project) } }
                @if summary.is_being_deleted { (badge::badge(Tone::Warn, "Deleting")) }
            }
            td.sync { (badge::sync(summary.sync)) }
            td.health { (badge::health(summary.health)) }
            td.revision { (revisions(&summary.revisions)) }
            td.source {
                @if summary.error.is_empty() {
                    span title=(summary.destination) { (summary.sources.join(", ")) }
                } @else {
                    span.error title=(summary.error) { (summary.error) }
                }
            }
            td.operation {
                @if let Some(operation) = &summary.operation {
                    span.phase data-phase=(operation.phase) {
                        (badge::icon(badge::phase_tone(operation.phase).icon())) (operation.phase)
                    }
                    " " span.sub { (badge::moment(operation.at)) }
                }
            }
        }
    }
}

/// Each revision once, in short.
pub fn revisions(revisions: &[String]) -> Markup {
    let mut unique: Vec<&String> = revisions.iter().collect();
    unique.dedup();
    html! {
        @for revision in unique { code title=(revision) { (text::short(revision)) } " " }
    }
}

/// What the filter looks in, in lower case.
fn words(summary: &Summary) -> String {
    let mut words = [
        summary.namespace.as_str(),
        &summary.name,
        &summary.project,
        summary.sync.as_str(),
        summary.health.as_str(),
        &summary.destination,
    ]
    .join(" ");
    for more in summary.sources.iter().chain(&summary.revisions) {
        words.push(' ');
        words.push_str(more);
    }
    words.to_lowercase()
}

/// The counts by state, each a switch that filters by it. The script keeps them true.
fn counts(summaries: &[Arc<Summary>]) -> Markup {
    let mut by_sync: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_health: BTreeMap<&str, usize> = BTreeMap::new();
    for summary in summaries {
        *by_sync.entry(summary.sync.as_str()).or_default() += 1;
        *by_health.entry(summary.health.as_str()).or_default() += 1;
    }
    let count = |counts: &BTreeMap<&str, usize>, state: &str| counts.get(state).copied().unwrap_or(0);
    html! {
        div.counts {
            p.total { strong #total { (summaries.len()) } " in all" }
            div role="group" aria-label="By sync state" {
                @for status in SyncStatusCode::ALL {
                    (switch("sync", status.as_str(), badge::sync_tone(*status), count(&by_sync, status.as_str())))
                }
            }
            div role="group" aria-label="By health" {
                @for status in HealthStatusCode::ALL {
                    (switch("health", status.as_str(), badge::health_tone(*status), count(&by_health, status.as_str())))
                }
            }
        }
    }
}

fn switch(kind: &str, state: &str, tone: Tone, count: usize) -> Markup {
    html! {
        button.count type="button" aria-pressed="false" data-kind=(kind) data-state=(state) hidden[count == 0] {
            (badge::badge(tone, state)) " " strong { (count) }
        }
    }
}
