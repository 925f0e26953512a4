//! The endpoint itself: who is refused and how, and that nothing comes of it.

use axum::http::{HeaderName, Request};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::secrets::GITHUB;
use super::*;

/// What a webhook with these headers, query and payload leads to, where these secrets are set.
pub(super) fn keys_from(
    headers: &[(&'static str, &str)],
    query: &str,
    payload: &str,
    secrets: &[(&str, &str)],
) -> Result<Vec<String>, Refusal> {
    let pair =
        |(name, value): &(&'static str, &str)| Some((HeaderName::from_static(name), value.parse().ok()?));
    let headers: HeaderMap = headers.iter().filter_map(pair).collect();
    let delivery = Delivery::new(&headers, query, payload.as_bytes());
    accept(&delivery, Some(&Secrets::from_pairs(secrets)))
}

/// The HMAC-SHA256 of a payload, in hexadecimal.
pub(super) fn hex_signature(secret: &str, payload: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(payload.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn who_is_not_known_is_refused_with_who_is() {
    for (query, payload) in [
        ("", r#"{"repository": {"clone_url": "https://example.org/a/b.git"}}"#),
        ("", ""),
        ("", "[1]"),
        ("type=quay", r#"{"events": []}"#),
    ] {
        assert_eq!(keys_from(&[], query, payload, &[]), Err(Refusal::Sender), "{payload}");
    }
    assert!(Refusal::Sender.to_string().contains("?type=dockerhub"));
}

#[test]
fn payloads_without_a_repository_are_refused() {
    for payload in ["{}", "", "[1]", r#"{"repository": {"url": "nonsense"}}"#, &"[".repeat(1 << 16)] {
        for header in ["x-github-event", "x-gitea-event"] {
            assert_eq!(keys_from(&[(header, "push")], "", payload, &[]), Err(Refusal::Payload));
        }
    }
}

/// What the endpoint answers to a push, and whether anything came of it.
async fn answer(
    secrets: Option<Secrets>,
    limit: usize,
    path: &str,
    header: (&str, &str),
) -> (StatusCode, bool) {
    let (events, mut told) = mpsc::unbounded_channel();
    let (_secrets, secrets) = watch::channel(secrets);
    let (_limit, limit) = watch::channel(limit);
    let router = router(Webhooks { events, secrets, limit, metrics: Metrics::new() }, "/cd");
    let observer = tokio::spawn(async move {
        let mut is_told = false;
        while let Some(event) = told.recv().await {
            if let Event::Pushed { matched, .. } = event {
                is_told = true;
                let _ = matched.send(1);
            }
        }
        is_told
    });
    let body = r#"{"repository": {"clone_url": "https://example.org/a/b.git"}}"#;
    let request = Request::post(path).header(header.0, header.1).body(Body::from(body)).expect("a request");
    let answer = router.oneshot(request).await.expect("an answer");
    (answer.status(), observer.await.expect("the observer ends"))
}

#[tokio::test]
async fn refused_webhooks_lead_to_nothing() {
    let push = ("x-github-event", "push");
    let (open, closed) = (Some(Secrets::default()), Some(Secrets::from_pairs(&[(GITHUB, "mellon")])));
    let path = "/api/webhook";
    assert_eq!(answer(open.clone(), 100, path, push).await, (StatusCode::OK, true));
    assert_eq!(answer(open.clone(), 100, "/cd/api/webhook", push).await, (StatusCode::OK, true));
    assert_eq!(answer(open.clone(), 100, path, ("x-other", "push")).await, (StatusCode::BAD_REQUEST, false));
    assert_eq!(answer(open.clone(), 60, path, push).await, (StatusCode::OK, true), "as long as may be");
    assert_eq!(answer(open.clone(), 59, path, push).await, (StatusCode::PAYLOAD_TOO_LARGE, false));
    assert_eq!(answer(closed, 100, path, push).await, (StatusCode::UNAUTHORIZED, false));
    // Before the secret is known, nobody can be told from anybody.
    assert_eq!(answer(None, 100, path, push).await, (StatusCode::SERVICE_UNAVAILABLE, false));
}
