//! The routes, and what every answer has.
//!
//! In: requests. Out: pages, JSON, streams and files, all with headers that let a page load nothing from
//! elsewhere and run no script but ours.

mod assets;
mod lookup;

use std::sync::Arc;

use axum::{
    Router,
    extract::{MatchedPath, Path, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use kube::Client;
use maud::Markup;
use tokio_util::sync::CancellationToken;

use crate::{board::Board, error::Error, events::Events, live, metrics::Metrics, page, rest, summary::Key};

pub use assets::version as assets_version;
pub use lookup::{application, happenings, object};

/// What a page may do: show what this site serves.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What handlers work with; cheap to clone.
#[derive(Clone)]
pub struct Site {
    pub board: Arc<Board>,
    pub events: Arc<Events>,
    pub client: Client,
    /// The path of the site without a slash at its end.
    pub base: String,
    /// The namespace of the Applications, which needs no mention.
    pub namespace: String,
    pub metrics: Metrics,
    pub shutdown: CancellationToken,
}

/// All routes, below the base path.
pub fn router(site: Site) -> Router {
    let base = site.base.clone();
    let routes = Router::new()
        .route("/", get(list))
        .route("/applications/{namespace}/{name}", get(one))
        .route("/live", get(live::applications))
        .route("/live/{namespace}/{name}", get(live::application))
        .route("/assets/{file}", get(assets::file))
        .route("/api/v1/applications", get(rest::list))
        .route("/api/v1/applications/{namespace}/{name}", get(rest::one))
        .route("/api/v1/applications/{namespace}/{name}/events", get(rest::events))
        .route("/api/v1/stream", get(live::changes))
        .fallback(nothing)
        .layer(from_fn_with_state(site.metrics.clone(), finish))
        .with_state(site);
    if base.is_empty() {
        return routes;
    }
    let home = format!("{base}/");
    let to_home = Redirect::permanent(&home);
    Router::new().route(&base, get(async || to_home)).nest(&home, routes)
}

async fn list(State(site): State<Site>) -> Markup {
    let snapshot = site.board.snapshot();
    let live = page::Live { stream: format!("{}/live?since={}", site.base, snapshot.id()) };
    page::applications::page(&site.base, &site.namespace, &live, &snapshot.summaries)
}

async fn one(State(site): State<Site>, Path((namespace, name)): Path<(String, String)>) -> Response {
    let key = Key { namespace, name };
    match sections(&site, &key).await {
        Ok(sections) => {
            let since = page::application::digest(&sections);
            let stream = format!("{}/live/{}/{}?since={since}", site.base, key.namespace, key.name);
            page::application::page(&site.base, &key, &page::Live { stream }, &sections).into_response()
        }
        Err(error) => failure(&site, &error),
    }
}

/// The sections of an Application's page as they are now.
async fn sections(site: &Site, key: &Key) -> Result<Vec<page::application::Section>, Error> {
    let application = application(site, key).await?;
    let happenings = happenings(site, &application).await;
    Ok(page::application::sections(&site.base, &application, happenings.as_deref()))
}

async fn nothing(State(site): State<Site>) -> Response {
    failure(&site, &Error::NoPage)
}

fn failure(site: &Site, error: &Error) -> Response {
    let status = error.status();
    (status, page::failure(&site.base, status, &error.in_full())).into_response()
}

/// Counts the request and sets the headers.
async fn finish(
    State(metrics): State<Metrics>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    metrics.request(route.as_ref().map_or("", MatchedPath::as_str), response.status().as_u16());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
