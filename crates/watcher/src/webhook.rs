//! Webhooks: a push somewhere else becomes a look at a repository, at once.
//!
//! What comes in: `POST /api/webhook` as Git hosts send it. What goes out: which repositories to look at.
//! Nothing else of the payload is trusted: what was pushed is asked of the repository itself.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use opentelemetry::KeyValue;
use serde::Deserialize;
use sha2::Sha256;
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::event::{Event, Events};
use crate::metrics::Metrics;
use crate::repository::match_key;
use crate::settings::WebhookSecret;

/// How many payloads are read at once: each may be large.
const AT_ONCE: usize = 4;
/// How long a sender may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// As Git hosts know it from Argo CD.
const PATH: &str = "/api/webhook";

/// What the endpoint works with.
#[derive(Clone)]
pub struct Webhooks {
    /// Where pushes are told.
    pub events: Events,
    /// The secret that payloads are signed with.
    pub secret: watch::Receiver<WebhookSecret>,
    /// The largest payload, in bytes.
    pub limit: usize,
    /// What is measured.
    pub metrics: Metrics,
}

/// Why a webhook is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("the payload could not be read in time, or is too large")]
    Unreadable,
    #[error("the signature is missing or does not match the secret webhook.github.secret")]
    Signature,
    #[error("the payload is not a push of a repository")]
    Payload,
    #[error("stopping")]
    Stopping,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Unreadable => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Signature => StatusCode::UNAUTHORIZED,
            Self::Payload => StatusCode::BAD_REQUEST,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
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
    body: Body,
) -> (StatusCode, String) {
    let span = tracing::info_span!("webhook");
    let handled = async {
        let _permit = permits.acquire().await.map_err(|_| Refusal::Stopping)?;
        let read = tokio::time::timeout(PATIENCE, to_bytes(body, webhooks.limit)).await;
        let payload = read.ok().and_then(Result::ok).ok_or(Refusal::Unreadable)?;
        let keys = accept(&headers, &payload, webhooks.secret.borrow().as_deref())?;
        if keys.is_empty() {
            return Ok(0);
        }
        let context = tracing::Span::current().context();
        let (matched, answer) = oneshot::channel();
        let pushed = Event::Pushed { keys, context, matched };
        webhooks.events.send(pushed).map_err(|_| Refusal::Stopping)?;
        answer.await.map_err(|_| Refusal::Stopping)
    };
    let (outcome, status, text) = match handled.instrument(span).await {
        Ok(matched) => {
            let outcome = if matched > 0 { "matched" } else { "ignored" };
            (outcome, StatusCode::OK, format!("{matched} repositories are looked at\n"))
        }
        Err(refusal) => {
            tracing::warn!(%refusal, "refused a webhook");
            ("refused", refusal.status(), format!("{refusal}\n"))
        }
    };
    webhooks.metrics.webhooks.add(1, &[KeyValue::new("outcome", outcome)]);
    (status, text)
}

/// What a payload's repository may go by; nothing where the event is of no interest.
fn accept(headers: &HeaderMap, payload: &[u8], secret: Option<&[u8]>) -> Result<Vec<String>, Refusal> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(secret) = secret {
        check(header("x-hub-signature-256").unwrap_or_default(), payload, secret)?;
    }
    if header("x-github-event").is_some_and(|event| event != "push") {
        return Ok(Vec::new());
    }
    let push: Push = serde_json::from_slice(payload).map_err(|_| Refusal::Payload)?;
    let mut keys: Vec<String> = push.repository.urls().filter_map(match_key).collect();
    keys.sort();
    keys.dedup();
    if keys.is_empty() { Err(Refusal::Payload) } else { Ok(keys) }
}

/// Checks a signature in a time that tells nothing about it.
fn check(signature: &str, payload: &[u8], secret: &[u8]) -> Result<(), Refusal> {
    let given = signature.strip_prefix("sha256=").and_then(|digits| hex::decode(digits).ok());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| Refusal::Signature)?;
    mac.update(payload);
    mac.verify_slice(&given.unwrap_or_default()).map_err(|_| Refusal::Signature)
}

#[derive(Deserialize)]
struct Push {
    repository: PushedRepository,
}

#[derive(Deserialize)]
struct PushedRepository {
    clone_url: Option<String>,
    html_url: Option<String>,
    ssh_url: Option<String>,
    git_url: Option<String>,
    url: Option<String>,
}

impl PushedRepository {
    fn urls(&self) -> impl Iterator<Item = &str> {
        let Self { clone_url, html_url, ssh_url, git_url, url } = self;
        [clone_url, html_url, ssh_url, git_url, url].into_iter().flatten().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] =
        br#"{"ref": "refs/heads/main", "repository": {"clone_url": "https://example.org/a/b.git", "html_url": "https://example.org/a/b", "id": 5}}"#;
    /// Computed with `openssl dgst -sha256 -hmac secret`.
    const SIGNATURE: &str = "sha256=be2a9a7229d21ac07f0070877186d2e3b6fff5d9660b98e74aacf61d536b8fbc";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| Some((name.parse().ok()?, value.parse().ok()?));
        pairs.iter().filter_map(pair).collect()
    }

    #[test]
    fn a_push_names_its_repository_once() {
        let keys = accept(&headers(&[("x-github-event", "push")]), PAYLOAD, None);
        assert_eq!(keys, Ok(vec!["example.org/a/b".to_owned()]));
        assert_eq!(accept(&headers(&[]), PAYLOAD, None), keys);
    }

    #[test]
    fn other_events_are_taken_and_ignored() {
        assert_eq!(accept(&headers(&[("x-github-event", "ping")]), b"{}", None), Ok(vec![]));
    }

    #[test]
    fn payloads_without_a_repository_are_refused() {
        for payload in [b"{}".as_slice(), b"", b"[1]", br#"{"repository": {"url": "nonsense"}}"#] {
            assert_eq!(accept(&headers(&[]), payload, None), Err(Refusal::Payload));
        }
    }

    #[test]
    fn with_a_secret_only_its_signature_passes() {
        let signed = |signature: &str, payload: &[u8]| {
            accept(&headers(&[("x-hub-signature-256", signature)]), payload, Some(b"secret")).is_ok()
        };
        assert!(signed(SIGNATURE, PAYLOAD));
        assert!(!signed(SIGNATURE, &PAYLOAD[1..]));
        assert!(!signed("sha256=00", PAYLOAD));
        assert!(!signed("", PAYLOAD));
        assert_eq!(accept(&headers(&[]), PAYLOAD, Some(b"secret")), Err(Refusal::Signature));
    }
}
