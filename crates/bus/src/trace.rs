//! The trace context in message headers: one trace follows a commit through all stages.

use async_nats::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector},
};
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key, value.as_str());
    }
}

struct Received<'a>(&'a HeaderMap);

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// Headers that carry the current span's context.
pub(crate) fn inject() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let context = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|p| {
        p.inject_context(&context, &mut Headers(&mut headers))
    });
    headers
}

/// The context that the sender was in; an empty one where it sent none.
pub(crate) fn extract(headers: Option<&HeaderMap>) -> Context {
    headers.map_or_else(Context::new, |headers| {
        opentelemetry::global::get_text_map_propagator(|p| p.extract(&Received(headers)))
    })
}
