//! The operation that runs or ran last, with what it did to each object.

use ithaca_api::{
    Application, ResultCode,
    status::{OperationState, ResourceResult},
};
use maud::{Markup, html};

use crate::page::{applications::revisions, badge, text};

pub fn operation(application: &Application, state: Option<&OperationState>) -> Markup {
    html! {
        section.card aria-labelledby="operation-title" {
            h2 #operation-title { "Last operation" }
            @match state {
                Some(state) => (ran(state)),
                None if application.operation.is_some() => p.none { "A sync was asked for and begins any moment." },
                None => p.none { "Nothing was synced yet." },
            }
        }
    }
}

fn ran(state: &OperationState) -> Markup {
    let result = state.sync_result.as_ref();
    let applied = result
        .map(|result| ithaca_api::status::one_or_several(&result.revision, &result.revisions))
        .unwrap_or_default();
    let by = &state.operation.initiated_by;
    let is_dry_run = state.operation.sync.as_ref().is_some_and(|sync| sync.dry_run);
    let took = state.finished_at.map(|end| end.0.as_second() - state.started_at.0.as_second());
    html! {
        p.outcome {
            (badge::badge(badge::phase_tone(state.phase), state.phase.as_str()))
            @if is_dry_run { " " (badge::badge(badge::Tone::Calm, "Dry run")) }
            " " (badge::moment(state.finished_at.unwrap_or(state.started_at)))
        }
        @if !state.message.is_empty() { p.message { (state.message) } }
        dl.small {
            @if !applied.is_empty() { div { dt { "Revision" } dd { (revisions(&applied)) } } }
            div { dt { "Initiated by" } dd { (if by.automated || by.username.is_empty() { "automation" } else { &by.username }) } }
            @if let Some(took) = took { @if took > 0 { div { dt { "Took" } dd { (text::duration(took as f64)) } } } }
            @if state.retry_count > 0 { div { dt { "Retries" } dd { (state.retry_count) } } }
        }
        @if let Some(result) = result { @if !result.resources.is_empty() { (results(&result.resources)) } }
    }
}

fn results(results: &[ResourceResult]) -> Markup {
    let is_bad = |result: &&ResourceResult| result.status == Some(ResultCode::SyncFailed);
    let (failed, other): (Vec<&ResourceResult>, Vec<&ResourceResult>) = results.iter().partition(is_bad);
    html! {
        @if !failed.is_empty() { ul.results { @for result in failed { (result_row(result)) } } }
        @if !other.is_empty() {
            details #operation-results {
                summary { (text::count(other.len(), "result")) }
                ul.results { @for result in other { (result_row(result)) } }
            }
        }
    }
}

fn result_row(result: &ResourceResult) -> Markup {
    html! {
        li {
            @if let Some(status) = result.status { (badge::badge(badge::result_tone(status), status.as_str())) " " }
            b { (result.kind) } " " (result.name)
            @if !result.namespace.is_empty() { span.dim { " in " (result.namespace) } }
            @if !result.message.is_empty() { p.message { (result.message) } }
        }
    }
}
