//! A webhook as it came: headers, query and payload, asked in the ways that senders' modules ask.

use std::borrow::Cow;

use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::Refusal;
use crate::repository::match_key;

/// A webhook as it came.
pub(super) struct Delivery<'a> {
    headers: &'a HeaderMap,
    query: &'a str,
    pub(super) payload: &'a [u8],
}

impl<'a> Delivery<'a> {
    pub(super) fn new(headers: &'a HeaderMap, query: &'a str, payload: &'a [u8]) -> Self {
        Self { headers, query, payload }
    }

    /// A header's value; empty where there is none.
    pub(super) fn header(&self, name: &str) -> &'a str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether there is such a header.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// What stands for a name behind the `?` of the URL.
    pub(super) fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Reads the payload. What is not asked for is not kept.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.payload).map_err(|_| {
            let content_type = self.header(header::CONTENT_TYPE.as_str());
            let is_form = content_type.starts_with("application/x-www-form-urlencoded");
            if is_form { Refusal::ContentType } else { Refusal::Payload }
        })
    }
}

/// What repositories are matched by, each once, from their URLs. It is a refusal if there is none.
pub(super) fn keys<T: AsRef<str>>(urls: impl IntoIterator<Item = T>) -> Result<Vec<String>, Refusal> {
    let mut keys: Vec<String> = urls.into_iter().filter_map(|url| match_key(url.as_ref())).collect();
    keys.sort();
    keys.dedup();
    if keys.is_empty() { Err(Refusal::Payload) } else { Ok(keys) }
}
