//! What an Application is made of, and what is wrong with it.

use ithaca_api::{
    Application, ApplicationSource,
    status::{ApplicationStatus, Condition},
};
use maud::{Markup, html};

use crate::page::{applications::revisions, badge, text};

pub fn facts(application: &Application, status: &ApplicationStatus) -> Markup {
    let spec = &application.spec;
    let sources = spec.sources();
    let sync = status.sync.as_ref();
    let compared = sync
        .map(|sync| ithaca_api::status::one_or_several(&sync.revision, &sync.revisions))
        .unwrap_or_default();
    html! {
        dl.facts.card {
            div.wide {
                dt { @if sources.len() > 1 { "Sources" } @else { "Source" } }
                @for (index, each) in sources.iter().enumerate() { dd { (source(each, compared.get(index))) } }
                @if sources.is_empty() { dd.dim { "none" } }
            }
            div { dt { "Destination" } dd { (text::destination(&spec.destination)) } }
            div { dt { "Project" } dd { (spec.project()) } }
            div { dt { "Sync policy" } dd { (policy(application)) } }
            @if let Some(health) = &status.health {
                @if !health.message.is_empty() { div { dt { "Health" } dd { (health.message) } } }
            }
            @if !status.summary.images.is_empty() {
                div.wide {
                    dt { "Images" }
                    @for image in &status.summary.images { dd { code { (image) } } }
                }
            }
            @let links: Vec<&str> = status.summary.external_urls.iter().filter_map(|url| text::link(url)).collect();
            @if !links.is_empty() {
                div.wide {
                    dt { "Links" }
                    @for url in links { dd { a href=(url) rel="noreferrer noopener" { (url) } } }
                }
            }
            @for info in &spec.info {
                div { dt { (info.name) } dd { @if let Some(url) = text::link(&info.value) { a href=(url) rel="noreferrer noopener" { (url) } } @else { (info.value) } } }
            }
        }
    }
}

fn source(source: &ApplicationSource, compared: Option<&String>) -> Markup {
    let url = ithaca_api::without_credentials(&source.repo_url);
    let what = if source.chart.is_empty() { &source.path } else { &source.chart };
    html! {
        span.source {
            @if let Some(link) = text::link(&url) { a href=(link) rel="noreferrer noopener" { (url) } }
            @else { (url) }
            @if !what.is_empty() { " " b { (what) } }
            " " span.dim { (source.target_revision()) }
            @if let Some(revision) = compared { " " (revisions(std::slice::from_ref(revision))) }
        }
    }
}

fn policy(application: &Application) -> Markup {
    let automated = application.spec.sync_policy.as_ref().and_then(|policy| policy.automated());
    let options = application.spec.sync_options();
    html! {
        @if let Some(automated) = automated {
            "automated"
            @if automated.prune { ", prune" }
            @if automated.self_heal { ", self-heal" }
        } @else { "manual" }
        @if !options.is_empty() { span.sub { (options.join(", ")) } }
    }
}

pub fn conditions(conditions: &[Condition]) -> Markup {
    html! {
        @if !conditions.is_empty() {
            ul.conditions aria-label="Conditions" {
                @for condition in conditions {
                    li class=(if condition.type_.is_error() { "condition bad" } else { "condition warn" }) {
                        (badge::icon(if condition.type_.is_error() { "cross" } else { "alert" }))
                        div {
                            strong { (condition.type_) }
                            @if let Some(since) = condition.last_transition_time { " " span.sub { (badge::moment(since)) } }
                            p { (condition.message) }
                        }
                    }
                }
            }
        }
    }
}
