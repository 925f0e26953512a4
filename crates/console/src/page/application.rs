//! The page of one Application, in sections that are replaced one by one as they change.

mod deployments;
mod facts;
mod operation;
mod resources;
mod timeline;

use std::hash::{DefaultHasher, Hash, Hasher};

use ithaca_api::{Application, status::ApplicationStatus};
use maud::{Markup, html};

use super::{
    badge,
    layout::{Live, document},
};
use crate::{happening::Happening, summary::Key};

/// A part of the page that changes on its own.
#[derive(Clone, Debug)]
pub struct Section {
    /// The id of the element that holds it.
    pub id: &'static str,
    /// What it holds.
    pub html: String,
}

/// All sections. Without `happenings` the events cannot be had.
pub fn sections(base: &str, application: &Application, happenings: Option<&[Happening]>) -> Vec<Section> {
    let empty = ApplicationStatus::default();
    let status = application.status.as_ref().unwrap_or(&empty);
    let section = |id, markup: Markup| Section { id, html: markup.into_string() };
    vec![
        section("states", states(application, status)),
        section("facts", facts::facts(application, status)),
        section("conditions", facts::conditions(&status.conditions)),
        section("resources", resources::resources(base, &status.resources)),
        section("operation", operation::operation(application, status.operation_state.as_ref())),
        section("history", deployments::deployments(&status.history)),
        section("events", timeline::timeline(happenings)),
    ]
}

/// Changes with any of the sections.
pub fn digest(sections: &[Section]) -> String {
    let mut hasher = DefaultHasher::new();
    for section in sections {
        section.html.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// The whole page.
pub fn page(base: &str, key: &Key, live: &Live, sections: &[Section]) -> Markup {
    let section = |id: &str| {
        let html = sections.iter().find(|section| section.id == id).map_or("", |section| &section.html);
        html! { div id=(id) { (maud::PreEscaped(html)) } }
    };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href={ (base) "/" } { "Applications" } " / " span { (key.namespace) } }
        div.heading { h1 { (key.name) } (section("states")) }
        p #gone.notice role="alert" hidden { "This application was deleted. What follows is what was last known of it." }
        (section("conditions"))
        (section("facts"))
        div.columns {
            div { (section("resources")) (section("history")) }
            div { (section("operation")) (section("events")) }
        }
    };
    document(base, &key.name, Some(live), &main)
}

fn states(application: &Application, status: &ApplicationStatus) -> Markup {
    let sync = status.sync.as_ref().map(|sync| sync.status).unwrap_or_default();
    let health = status.health.as_ref();
    html! {
        div.states {
            (badge::sync(sync))
            (badge::health(health.and_then(|health| health.status).unwrap_or_default()))
            @if application.metadata.deletion_timestamp.is_some() { (badge::badge(badge::Tone::Warn, "Deleting")) }
            @else if application.operation.is_some() { (badge::badge(badge::Tone::Busy, "Sync requested")) }
        }
    }
}
