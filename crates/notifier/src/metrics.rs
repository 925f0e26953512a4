//! The notifier's own metrics.

use ithaca_chassis::seconds;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram},
};

/// Counts what each sink did and how far behind it is.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    deliveries: Counter<u64>,
    delivery: Histogram<f64>,
    lag: Gauge<f64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("ithaca_notifier");
        Self {
            deliveries: meter
                .u64_counter("ithaca_notify_deliveries")
                .with_description("Events by sink and result: sent, skipped, retried or rejected")
                .build(),
            delivery: seconds(&meter, "ithaca_notify_delivery", "Time to deliver one event to a sink"),
            lag: meter
                .f64_gauge("ithaca_notify_lag")
                .with_unit("s")
                .with_description("Age of the event that a sink delivered last, when it did")
                .build(),
        }
    }

    /// Lets the series of a sink begin at 0, so that its first failure shows as an increase.
    pub(crate) fn begin(&self, sink: &str) {
        for result in ["sent", "skipped", "retried", "rejected"] {
            let attributes = [KeyValue::new("sink", sink.to_owned()), KeyValue::new("result", result)];
            self.deliveries.add(0, &attributes);
        }
    }

    /// Counts one attempt of a sink.
    pub(crate) fn count(&self, sink: &str, result: &'static str) {
        let attributes = [KeyValue::new("sink", sink.to_owned()), KeyValue::new("result", result)];
        self.deliveries.add(1, &attributes);
    }

    /// Records how long a delivery took and how old its event was, both in seconds.
    pub(crate) fn delivered(&self, sink: &str, seconds: f64, age: f64) {
        let attributes = [KeyValue::new("sink", sink.to_owned())];
        self.delivery.record(seconds, &attributes);
        self.lag.record(age, &attributes);
    }
}
