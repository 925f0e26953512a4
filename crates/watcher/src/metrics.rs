//! What the watcher measures: `ithaca_watch_*`.

use ithaca_chassis::{Timer, seconds};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};

/// The watcher's instruments; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    /// Time to connect and list a remote's references.
    pub ls_remote: Histogram<f64>,
    /// Time to fetch what is missing.
    pub fetch: Histogram<f64>,
    /// Time from the reason to observe a repository to the acknowledged fact.
    pub observe: Histogram<f64>,
    /// Facts that are published, by purpose and what they tell.
    pub observed: Counter<u64>,
    /// Failed observations of a repository.
    pub failures: Counter<u64>,
    /// Webhooks, by outcome.
    pub webhooks: Counter<u64>,
    /// Bytes of content served.
    pub served: Counter<u64>,
    /// Facts that wait to be acknowledged.
    pub queue: Gauge<u64>,
    /// Applications watched.
    pub applications: Gauge<u64>,
    /// Repositories observed.
    pub repositories: Gauge<u64>,
}

impl Metrics {
    /// The instruments of the process's meter.
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("ithaca");
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        let gauge = |name, description| meter.u64_gauge(name).with_description(description).build();
        let metrics = Self {
            ls_remote: seconds(&meter, "ithaca_watch_ls_remote", "Time to list a remote's references"),
            fetch: seconds(&meter, "ithaca_watch_fetch", "Time to fetch missing commits, by outcome"),
            observe: seconds(&meter, "ithaca_watch_observe", "Time from the reason to the published fact"),
            observed: counter("ithaca_watch_observed", "Facts published, by purpose and outcome"),
            failures: counter("ithaca_watch_failures", "Failed observations of a repository"),
            webhooks: counter("ithaca_watch_webhooks", "Webhooks received, by outcome"),
            served: counter("ithaca_watch_served_bytes", "Bytes of source content served"),
            queue: gauge("ithaca_watch_queue", "Facts that wait to be acknowledged"),
            applications: gauge("ithaca_watch_applications", "Applications watched"),
            repositories: gauge("ithaca_watch_repositories", "Repositories observed"),
        };
        // A series that begins at 0 shows its first failure as an increase.
        metrics.failures.add(0, &[]);
        metrics.queue.record(0, &[]);
        metrics
    }

    /// A remote's references were listed.
    pub fn listed(&self, timer: Timer) {
        timer.stop(&[]);
    }

    /// A fetch ended.
    pub fn fetched(&self, timer: Timer, is_ok: bool) {
        timer.stop(&[KeyValue::new("result", if is_ok { "ok" } else { "error" })]);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
