//! The document around every page: head, header, sprite, and where the live stream is.

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::badge::icon;
use crate::site::assets_version;

/// The shapes that `icon` shows, drawn on 16 by 16.
const SPRITE: &str = include_str!("../../assets/sprite.svg");

/// Where a page hears of changes.
pub struct Live {
    /// The stream's path with the version that the page shows.
    pub stream: String,
}

/// A whole document. `base` is the path of the site without a slash at its end.
pub fn document(base: &str, title: &str, live: Option<&Live>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Ithaca" }
                link rel="icon" type="image/svg+xml" href={ (base) "/assets/icon.svg" };
                link rel="stylesheet" href={ (base) "/assets/console.css?" (assets_version()) };
                script defer src={ (base) "/assets/console.js?" (assets_version()) } {}
            }
            body data-stream=[live.map(|live| live.stream.as_str())] {
                (PreEscaped(SPRITE))
                a.skip href="#main" { "Skip to content" }
                header.top {
                    a.brand href={ (base) "/" } { (icon("ithaca")) "Ithaca" }
                    @if live.is_some() {
                        span #live.live role="status" data-state="connecting" { "Connecting" }
                    }
                }
                main #main { (main) }
            }
        }
    }
}

/// The page of a failure.
pub fn failure(base: &str, status: StatusCode, message: &str) -> Markup {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::SERVICE_UNAVAILABLE => "Not to be had right now",
        _ => "That did not work",
    };
    let main = html! {
        section.empty {
            (icon("alert"))
            h1 { (title) }
            p { (message) }
            p { a href={ (base) "/" } { "All applications" } }
        }
    };
    document(base, title, None, &main)
}
