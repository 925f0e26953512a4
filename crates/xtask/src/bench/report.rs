//! What a benchmark found, for people and for machines.

use std::fmt;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::api_server::Writes;
use super::process::Usage;

/// The result of `bench apply`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How many.
    pub applications: usize,
    /// dir, helm or kustomize.
    pub source: &'static str,
    /// From the first create until the last is Synced.
    pub synced_seconds: f64,
    /// The same objects applied by a bare client.
    pub floor_seconds: f64,
    /// How many times the floor.
    pub ratio_to_floor: f64,
    /// Until all were Synced; `all` includes the creation of the Applications.
    pub writes_until_synced: Writes,
    /// From the webhook to the live object.
    pub commit_to_applied: Latency,
    /// From the edit until it is undone.
    pub drift_repaired: Latency,
    /// While nothing changes.
    pub idle: Idle,
    /// Since the start, when all were Synced.
    pub usage_when_synced: Vec<Usage>,
    /// Since the start, after everything but the floor.
    pub usage_at_end: Vec<Usage>,
}

/// Times of one kind of change.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// How many were timed.
    pub count: usize,
    /// Seconds.
    pub median: f64,
    /// Seconds.
    pub worst: f64,
}

/// A time of rest.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// How long.
    pub seconds: u64,
    /// Of Ithaca's five processes.
    pub cpu_seconds: f64,
    /// Requests that write.
    pub writes: Writes,
}

impl Latency {
    /// Median and worst; zero where nothing was timed.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
        Self { count: times.len(), median: seconds(times.get(times.len() / 2)), worst: seconds(times.last()) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.applications * 4;
        let seconds = |value: f64| format!("{value:.2} s");
        let latency = |latency: &Latency| {
            format!("median {:.3} s, worst {:.3} s of {}", latency.median, latency.worst, latency.count)
        };
        let idle = &self.idle;
        let rows = [
            ("applications", format!("{} ({}), {objects} objects", self.applications, self.source)),
            ("all Synced after", seconds(self.synced_seconds)),
            ("the floor: a bare client", seconds(self.floor_seconds)),
            ("ratio", format!("{:.2}", self.ratio_to_floor)),
            ("API writes by Ithaca until then", self.writes_until_synced.ithaca.to_string()),
            ("commit to applied", latency(&self.commit_to_applied)),
            ("drift repaired", latency(&self.drift_repaired)),
            (
                "at rest",
                format!(
                    "in {} s: {:.2} CPU s, {} API writes by Ithaca ({} by all)",
                    idle.seconds, idle.cpu_seconds, idle.writes.ithaca, idle.writes.all
                ),
            ),
        ];
        let mut table = Table::new();
        table.load_style(NOTHING);
        for (name, value) in rows {
            table.add_row([name.to_owned(), value]);
        }
        writeln!(out, "{table}\n\n{}", usage_table(&self.usage_when_synced, &self.usage_at_end))
    }
}

fn usage_table(synced: &[Usage], end: &[Usage]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["", "CPU s", "MiB", "peak MiB", "at the end: CPU s", "MiB", "peak MiB"]);
    for column in 1..7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let number = |value: f64| format!("{value:.1}");
    let row = |name: &str, chosen: &dyn Fn(&Usage) -> bool| {
        let mut cells = vec![name.to_owned()];
        for usages in [synced, end] {
            let sum = |what: fn(&Usage) -> f64| {
                number(usages.iter().filter(|usage| chosen(usage)).map(what).sum::<f64>())
            };
            cells.push(sum(|usage| usage.cpu_seconds));
            cells.push(sum(|usage| usage.memory_mib));
            cells.push(sum(|usage| usage.peak_mib));
        }
        cells
    };
    for usage in synced {
        table.add_row(row(&usage.name, &|other| other.name == usage.name));
    }
    table.add_row(row("Ithaca's five together", &|usage| usage.service));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_the_longest() {
        let latency = Latency::of([3, 1, 2].map(Duration::from_secs).to_vec());
        assert_eq!((latency.count, latency.median, latency.worst), (3, 2.0, 3.0));
    }
}
