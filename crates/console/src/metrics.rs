//! The console's own metrics.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, UpDownCounter},
};

/// Counts requests and open streams.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Counter<u64>,
    streams: UpDownCounter<i64>,
}

impl Metrics {
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("ithaca_console");
        let metrics = Self {
            requests: meter
                .u64_counter("ithaca_console_requests")
                .with_description("Requests by route and status")
                .build(),
            streams: meter
                .i64_up_down_counter("ithaca_console_streams")
                .with_description("Open streams of server-sent events")
                .build(),
        };
        metrics.streams.add(0, &[]);
        metrics
    }

    /// Counts an answered request. `route` is the pattern, not the path.
    pub fn request(&self, route: &str, status: u16) {
        let attributes =
            [KeyValue::new("route", route.to_owned()), KeyValue::new("status", i64::from(status))];
        self.requests.add(1, &attributes);
    }

    /// Counts a stream for as long as what is returned lives.
    pub fn stream(&self) -> OpenStream {
        self.streams.add(1, &[]);
        OpenStream(self.streams.clone())
    }
}

/// A stream that is open.
#[derive(Debug)]
pub struct OpenStream(UpDownCounter<i64>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}
