//! Requests to the webhooks that the operator configured.
//!
//! In: records that pass the webhook's filter. Out: one POST each, with the event's id in a header, so that a
//! receiver can tell a repetition. A URL is a secret (chat systems put their token into it): it is never logged.

mod body;
mod config;
mod filter;
pub(crate) mod sample;

use std::{path::Path, time::Duration};

use anyhow::Context;
use reqwest::{Client, StatusCode};

use crate::{
    record::Record,
    sink::{Outcome, Sink},
};
use config::Settings;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The header by which a receiver tells a repetition.
const EVENT_ID: &str = "ithaca-event-id";

/// Reads and checks the webhooks of a file: a template that would fail is found now, not at the first event.
pub(crate) fn load(path: &Path) -> Result<Vec<Settings>, config::Error> {
    config::load(path)
}

/// The sink that calls one webhook.
pub(crate) struct Webhook {
    /// `webhook-` and the configured name.
    name: String,
    settings: Settings,
    client: Client,
}

impl Webhook {
    pub(crate) fn new(settings: Settings) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("ithaca/", env!("CARGO_PKG_VERSION")))
            .build()
            .with_context(|| format!("failed to prepare webhook {}", settings.name))?;
        Ok(Self { name: format!("webhook-{}", settings.name), settings, client })
    }
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn max_age(&self) -> Option<Duration> {
        Some(self.settings.max_age)
    }

    async fn deliver(&mut self, record: &Record) -> Outcome {
        if !self.settings.filter.accepts(record) {
            return Outcome::Skipped;
        }
        let body = match self.settings.body.render(record) {
            Ok(body) => body,
            Err(error) => return Outcome::Rejected(format!("failed to render the body: {error:#}")),
        };
        let request = self
            .client
            .post(self.settings.url.clone())
            .headers(self.settings.headers.clone())
            .header(EVENT_ID, &record.id)
            .body(body);
        match request.send().await {
            Ok(response) => judge(response.status()),
            Err(error) => {
                Outcome::Retry(format!("failed to reach the webhook: {}", causes(error.without_url())))
            }
        }
    }
}

/// What is worth another try: a receiver that is down or busy, not one that does not want the event.
fn judge(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..300 => Outcome::Sent,
        408 | 425 | 429 | 500.. => Outcome::Retry(format!("the webhook answered {status}")),
        _ => Outcome::Rejected(format!("the webhook answered {status}")),
    }
}

/// An error with all that caused it: the outermost one of a request says next to nothing.
fn causes(error: reqwest::Error) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_receiver_is_tried_again_and_an_unwilling_one_is_not() {
        let judged = |code: u16| judge(StatusCode::from_u16(code).expect("a status"));
        assert!(matches!(judged(204), Outcome::Sent));
        assert!(matches!(judged(429), Outcome::Retry(_)));
        assert!(matches!(judged(503), Outcome::Retry(_)));
        assert!(matches!(judged(404), Outcome::Rejected(_)));
        assert!(matches!(judged(302), Outcome::Rejected(_)));
    }
}
