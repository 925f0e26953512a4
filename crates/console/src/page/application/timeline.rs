//! What happened to an Application, the newest first.

use maud::{Markup, html};

use crate::{
    happening::{Happening, Mood},
    page::badge::{self, Tone},
};

/// Events shown; the REST interface has all that are kept.
const SHOWN: usize = 50;

pub fn timeline(happenings: Option<&[Happening]>) -> Markup {
    html! {
        section.card aria-labelledby="events-title" {
            h2 #events-title { "Events" }
            @match happenings {
                None => p.none { "The events cannot be had right now: the bus does not answer." },
                Some([]) => p.none { "Nothing happened in the last week." },
                Some(happenings) => ol.timeline { @for each in happenings.iter().rev().take(SHOWN) { (item(each)) } },
            }
        }
    }
}

fn item(happening: &Happening) -> Markup {
    let picture = match happening.mood {
        Mood::Good => Tone::Good.icon(),
        Mood::Plain => "dot",
        Mood::Busy => "start",
        Mood::Bad => Tone::Bad.icon(),
    };
    html! {
        li data-mood=(happening.mood.as_str()) {
            (badge::icon(picture))
            div {
                strong { (happening.title) } " " span.sub { (badge::moment_of(&happening.at)) }
                @if !happening.detail.is_empty() { p.message { (happening.detail) } }
                @if !happening.steps.is_empty() { p.steps { (happening.steps) } }
            }
        }
    }
}
