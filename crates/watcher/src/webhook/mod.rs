//! Webhooks: a push somewhere else becomes a look at a repository, at once.
//!
//! What comes in: `POST /api/webhook` as Git hosts and registries send it. What goes out: which repositories to
//! look at. Nothing else of the payload is trusted: what was pushed is asked of the repository itself.
//!
//! Each sender has a module, which checks what that sender signs with, and reads what it pushes. However many
//! pushes come while a repository is looked at, one more look follows: that is decided by its `Schedule`.

mod azure_devops;
mod bitbucket;
mod check;
mod delivery;
mod follow;
mod gitea;
mod github;
mod gitlab;
mod registry;
mod secrets;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry::KeyValue;
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::event::{Event, Events};
use crate::metrics::Metrics;
use delivery::Delivery;
pub use follow::follow;
pub use secrets::Secrets;
use sender::Sender;

/// How many payloads are read at once: each may be large.
const AT_ONCE: usize = 4;
/// How long a sender may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// As senders know it from Argo CD.
const PATH: &str = "/api/webhook";

/// What the endpoint works with.
#[derive(Clone)]
pub struct Webhooks {
    /// Where pushes are told.
    pub events: Events,
    /// What senders sign with; None until it is known.
    pub secrets: watch::Receiver<Option<Secrets>>,
    /// The largest payload, in bytes.
    pub limit: watch::Receiver<usize>,
    /// What is measured.
    pub metrics: Metrics,
}

/// Why a webhook is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("the payload is larger than webhook.maxPayloadSizeMB allows")]
    TooLarge,
    #[error("the payload did not come in time")]
    TooSlow,
    #[error(
        "no sender that is known here: GitHub, GitLab, Bitbucket, Azure DevOps, Gitea, Forgejo and Gogs are told by \
         their headers; Harbor, Docker Hub and the distribution registry by ?type=harbor, ?type=dockerhub or \
         ?type=distribution behind the URL, or by what they send"
    )]
    Sender,
    #[error("the content type must be application/json")]
    ContentType,
    #[error("the signature or secret is missing, or is not {0} of Secret argocd-secret")]
    Secret(&'static str),
    #[error("{0} of Secret argocd-secret refers to a key that is not there")]
    Setting(&'static str),
    #[error("the payload names no repository")]
    Payload,
    #[error("Secret argocd-secret is not read yet, try again")]
    Starting,
    #[error("stopping")]
    Stopping,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Secret(_) | Self::Setting(_) => StatusCode::UNAUTHORIZED,
            Self::Sender | Self::ContentType | Self::Payload => StatusCode::BAD_REQUEST,
            Self::Starting | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The endpoint, and the same below a base path where there is one.
pub fn router(webhooks: Webhooks, base_path: &str) -> Router {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut router = Router::new().route(PATH, post(receive));
    if !base_path.is_empty() {
        router = router.route(&format!("{base_path}{PATH}"), post(receive));
    }
    router.with_state((webhooks, permits))
}

async fn receive(
    State((webhooks, permits)): State<(Webhooks, Arc<Semaphore>)>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> (StatusCode, String) {
    let span = tracing::info_span!("webhook", sender = tracing::field::Empty);
    let limit = *webhooks.limit.borrow();
    let handled = async {
        let payload = read(body, limit, &permits).await?;
        let query = query.unwrap_or_default();
        let keys = accept(&Delivery::new(&headers, &query, &payload), webhooks.secrets.borrow().as_ref())?;
        if keys.is_empty() {
            return Ok(0);
        }
        let context = tracing::Span::current().context();
        let (matched, answer) = oneshot::channel();
        let pushed = Event::Pushed { keys, context, matched };
        webhooks.events.send(pushed).map_err(|_| Refusal::Stopping)?;
        answer.await.map_err(|_| Refusal::Stopping)
    };
    let (outcome, status, text) = match handled.instrument(span.clone()).await {
        Ok(matched) => {
            let outcome = if matched > 0 { "matched" } else { "ignored" };
            (outcome, StatusCode::OK, format!("{matched} repositories are looked at\n"))
        }
        Err(refusal) => {
            span.in_scope(|| tracing::warn!(%refusal, "refused a webhook"));
            ("refused", refusal.status(), format!("{refusal}\n"))
        }
    };
    webhooks.metrics.webhooks.add(1, &[KeyValue::new("outcome", outcome)]);
    (status, text)
}

/// The payload, if it is small enough and comes in time.
async fn read(body: Body, limit: usize, permits: &Semaphore) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::TooLarge);
    }
    let _permit = permits.acquire().await.map_err(|_| Refusal::Stopping)?;
    let read = tokio::time::timeout(PATIENCE, to_bytes(body, limit)).await;
    read.map_err(|_| Refusal::TooSlow)?.map_err(|_| Refusal::TooLarge)
}

/// What the pushed repositories may go by; nothing where the event is of no interest.
fn accept(delivery: &Delivery<'_>, secrets: Option<&Secrets>) -> Result<Vec<String>, Refusal> {
    let secrets = secrets.ok_or(Refusal::Starting)?;
    let sender = Sender::of(delivery).ok_or(Refusal::Sender)?;
    tracing::Span::current().record("sender", sender.name());
    sender.keys(delivery, secrets)
}

#[cfg(test)]
mod tests;
