//! What `bench render` found, for people and for machines.

use std::fmt::{self, Display};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::floor::Floor;
use crate::bench::process::Usage;
use crate::bench::report::Latency;

/// The result of `bench render`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How many charts.
    pub applications: usize,
    /// `helm template` itself.
    pub floor: Floor,
    /// All of them, where nothing was there.
    pub cold: Cold,
    /// Pushes that change one chart.
    pub changing: Pushes,
    /// Pushes that change none.
    pub idle: Pushes,
    /// Watcher and renderer after all that.
    pub after_charts: [Usage; 2],
    /// Other repositories.
    pub large: Large,
}

/// A cold start.
#[derive(Debug, Serialize)]
pub struct Cold {
    /// From the start of the processes to the last bundle.
    pub seconds: f64,
    /// The share of the machine that was busy, whoever kept it so.
    pub busy: f64,
    /// Watcher and renderer then.
    pub usage: [Usage; 2],
}

/// Pushes of one kind, one after the other.
#[derive(Debug, Serialize)]
pub struct Pushes {
    /// How many.
    pub count: usize,
    /// How many applications were rendered for all of them.
    pub rendered: usize,
    /// From the webhook to the bundle.
    pub latency: Latency,
    /// CPU seconds of watcher, renderer and the bus for one of them, a second of rest included.
    pub cpu_each: f64,
}

/// Repositories of many files.
#[derive(Debug, Serialize)]
pub struct Large {
    /// How many.
    pub repositories: usize,
    /// In each.
    pub files: usize,
    /// From the start of the processes to the last bundle.
    pub seconds: f64,
    /// Watcher and renderer since they started.
    pub usage: [Usage; 2],
}

impl Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [watcher, renderer] = &self.cold.usage;
        let each = |seconds: f64| format!("{:.1} ms", seconds * 1000.0 / self.applications as f64);
        let times = |cpu: f64| format!("{:.2} times", cpu / self.floor.cpu_seconds);
        let memory = |[watcher, renderer]: &[Usage; 2]| {
            let text = |usage: &Usage| {
                let Usage { memory_mib, peak_mib, own_mib, .. } = usage;
                format!("{memory_mib:.1} MiB (peak {peak_mib:.1}, without pages of files {own_mib:.1})")
            };
            format!("watcher {}, renderer {}", text(watcher), text(renderer))
        };
        let latency = &self.changing.latency;
        let rows = [
            ("charts".to_owned(), self.applications.to_string()),
            (
                "helm template itself".to_owned(),
                format!(
                    "{:.1} CPU s, {} each, in {:.1} s",
                    self.floor.cpu_seconds,
                    each(self.floor.cpu_seconds),
                    self.floor.seconds
                ),
            ),
            (
                "cold start".to_owned(),
                format!("in {:.1} s, the machine {:.0} % busy", self.cold.seconds, self.cold.busy * 100.0),
            ),
            (
                "  renderer with helm".to_owned(),
                format!(
                    "{:.1} CPU s, {} each, {}",
                    renderer.cpu_seconds,
                    each(renderer.cpu_seconds),
                    times(renderer.cpu_seconds)
                ),
            ),
            (
                "  and watcher".to_owned(),
                format!(
                    "{:.1} CPU s, together {}",
                    watcher.cpu_seconds,
                    times(watcher.cpu_seconds + renderer.cpu_seconds)
                ),
            ),
            ("  memory".to_owned(), memory(&self.cold.usage)),
            (
                "a push that changes one".to_owned(),
                format!("{} pushes rendered {}", self.changing.count, self.changing.rendered),
            ),
            (
                "  webhook to bundle".to_owned(),
                format!("median {:.3} s, worst {:.3} s", latency.median, latency.worst),
            ),
            ("  CPU".to_owned(), format!("{:.0} ms each", self.changing.cpu_each * 1000.0)),
            (
                "a push that changes none".to_owned(),
                format!("{} pushes rendered {}", self.idle.count, self.idle.rendered),
            ),
            ("  CPU".to_owned(), format!("{:.0} ms each", self.idle.cpu_each * 1000.0)),
            ("memory after all that".to_owned(), memory(&self.after_charts)),
            (
                format!("{} repositories of {} files", self.large.repositories, self.large.files),
                format!("in {:.1} s", self.large.seconds),
            ),
            ("  memory".to_owned(), memory(&self.large.usage)),
        ];
        let mut table = Table::new();
        table.load_style(NOTHING);
        for (name, value) in rows {
            table.add_row([name, value]);
        }
        write!(out, "{table}")
    }
}
