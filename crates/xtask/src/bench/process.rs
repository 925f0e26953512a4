//! What processes use, as the kernel counts it.
//!
//! In: process ids. Out: CPU seconds, of ended children too, and resident memory.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use ithaca_tests::{Process, SERVICES, Stack};
use serde::Serialize;

/// Linux counts in hundredths of a second for user space on every architecture.
const TICKS: f64 = 100.0;

/// What one process has used.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    /// Its name in the stack.
    pub name: String,
    /// One of Ithaca's five.
    pub service: bool,
    /// Since its start, with the programs that it ran.
    pub cpu_seconds: f64,
    /// Resident now, MiB.
    pub memory_mib: f64,
    /// Resident at most, MiB.
    pub peak_mib: f64,
    /// Of what is resident, what is not pages of files, MiB: the program itself is in memory once for all five.
    pub own_mib: f64,
}

/// What all processes of the stack have used, Ithaca's first.
pub fn usage(stack: &Stack) -> anyhow::Result<Vec<Usage>> {
    stack.processes().map(usage_of).collect()
}

/// What one process has used. It must run.
pub fn usage_of(process: &Process) -> anyhow::Result<Usage> {
    let name = process.program().name.clone();
    let pid = process.pid().with_context(|| format!("{name} does not run\n{}", process.log_tail(20)))?;
    let used = of(pid).with_context(|| format!("failed to read what {name} uses"))?;
    let service = SERVICES.contains(&name.as_str());
    Ok(Usage { name, service, ..used })
}

/// CPU seconds of all programs that this process ran and that have ended.
pub fn ended_children() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    ticks(&stat, 2..4).context("/proc/self/stat is not as proc(5) says")
}

/// Seconds that the machine's cores were busy since it started, all of them together.
pub fn machine_busy() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    busy_seconds(&stat).context("/proc/stat is not as proc(5) says")
}

/// CPU seconds of Ithaca's five processes together.
pub fn service_cpu(stack: &Stack) -> anyhow::Result<f64> {
    Ok(usage(stack)?.iter().filter(|usage| usage.service).map(|usage| usage.cpu_seconds).sum())
}

fn of(pid: u32) -> anyhow::Result<Usage> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let stat = std::fs::read_to_string(folder.join("stat"))?;
    let status = std::fs::read_to_string(folder.join("status"))?;
    Ok(Usage {
        name: String::new(),
        service: false,
        cpu_seconds: cpu_seconds(&stat).context("/proc/PID/stat is not as proc(5) says")?,
        memory_mib: mebibytes(&status, "VmRSS:").context("no VmRSS")?,
        peak_mib: mebibytes(&status, "VmHWM:").context("no VmHWM")?,
        own_mib: mebibytes(&status, "RssAnon:").context("no RssAnon")?,
    })
}

/// With the programs that it ran.
fn cpu_seconds(stat: &str) -> Option<f64> {
    ticks(stat, 0..4)
}

/// Some of utime, stime, cutime and cstime, in seconds.
fn ticks(stat: &str, which: Range<usize>) -> Option<f64> {
    // The name in parentheses may hold anything; the four are fields 14 to 17.
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields = after_name.split_whitespace().skip(11 + which.start).take(which.len());
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Some(ticks as f64 / TICKS)
}

/// User, nice, system and interrupts; not idle and not waiting.
fn busy_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<u64> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|f| f.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6].iter().map(|place| fields.get(*place)).sum::<Option<u64>>()?;
    Some(busy as f64 / TICKS)
}

fn mebibytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_strange_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 25 25 20 0 1 0 5 0 0";
        assert_eq!(cpu_seconds(stat), Some(2.5));
        assert_eq!(ticks(stat, 2..4), Some(0.5));
    }

    #[test]
    fn a_machine_that_waits_is_not_busy() {
        assert_eq!(busy_seconds("cpu  100 10 50 9000 800 20 20 0 0 0\ncpu0 1 1 1 1\n"), Some(2.0));
        assert_eq!(busy_seconds("cpu  100 10\n"), None);
    }

    #[test]
    fn memory_is_read_in_mebibytes() {
        assert_eq!(mebibytes("Name:\tx\nVmRSS:\t    2048 kB\n", "VmRSS:"), Some(2.0));
    }
}
