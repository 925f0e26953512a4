//! What the renderer measures: `ithaca_render_*`.

use std::time::Instant;

use ithaca_chassis::seconds;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, UpDownCounter};

use crate::render::Rendered;

/// The renderer's instruments; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    duration: Histogram<f64>,
    queue: UpDownCounter<i64>,
    cache_hits: Counter<u64>,
    failures: Counter<u64>,
}

impl Metrics {
    /// The instruments of the process's meter.
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("ithaca");
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        let queue = meter.i64_up_down_counter("ithaca_render_queue");
        let metrics = Self {
            duration: seconds(
                &meter,
                "ithaca_render_duration",
                "Time to render the sources of an application, by their types",
            ),
            queue: queue.with_description("Revisions taken and not yet answered for").build(),
            cache_hits: counter(
                "ithaca_render_cache_hits",
                "Revisions that needed no rendering, by where the content was known",
            ),
            failures: counter(
                "ithaca_render_failures",
                "Revisions without new content, by whose failure it was",
            ),
        };
        // Series that begin at 0 show the first of what they count as an increase.
        metrics.queue.add(0, &[]);
        for place in ["bundle", "memory"] {
            metrics.cache_hits.add(0, &[KeyValue::new("place", place)]);
        }
        for whose in ["input", "retry"] {
            metrics.failures.add(0, &[KeyValue::new("whose", whose)]);
        }
        metrics
    }

    /// A revision is held until the guard goes.
    pub fn hold(&self) -> Held {
        self.queue.add(1, &[]);
        Held(self.queue.clone())
    }

    /// A rendering ended.
    pub fn rendered(&self, started: Instant, rendered: Option<&Rendered>) {
        let types = match rendered {
            Some(rendered) => source_types(rendered),
            None => "failed".to_owned(),
        };
        self.duration.record(started.elapsed().as_secs_f64(), &[KeyValue::new("source_type", types)]);
    }

    /// Content was known: to the last bundle (`bundle`) or to this process (`memory`).
    pub fn hit(&self, place: &'static str) {
        self.cache_hits.add(1, &[KeyValue::new("place", place)]);
    }

    /// The input's failure (`input`), or one of ours that will be tried again (`retry`).
    pub fn failed(&self, whose: &'static str) {
        self.failures.add(1, &[KeyValue::new("whose", whose)]);
    }
}

/// Each type once, so that the number of series stays small.
fn source_types(rendered: &Rendered) -> String {
    let mut names: Vec<_> = rendered.source_types.iter().flatten().map(|kind| kind.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// A revision that is held.
#[derive(Debug)]
pub struct Held(UpDownCounter<i64>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}
