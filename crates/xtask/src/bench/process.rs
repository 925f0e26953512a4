//! What processes use, as the kernel counts it.
//!
//! In: process ids. Out: CPU seconds, of ended children too, and resident memory.

use std::path::PathBuf;

use anyhow::Context;
use ithaca_tests::{SERVICES, Stack};
use serde::Serialize;

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
}

/// What all processes of the stack have used, Ithaca's first.
pub fn usage(stack: &Stack) -> anyhow::Result<Vec<Usage>> {
    let mut all = Vec::new();
    for process in stack.processes() {
        let name = process.program().name.clone();
        let pid = process.pid().with_context(|| format!("{name} does not run\n{}", process.log_tail(20)))?;
        let used = of(pid).with_context(|| format!("failed to read what {name} uses"))?;
        let service = SERVICES.contains(&name.as_str());
        all.push(Usage { name, service, ..used });
    }
    Ok(all)
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
    })
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name in parentheses may hold anything; utime, stime, cutime and cstime are fields 14 to 17.
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    // Linux counts in hundredths for user space on every architecture.
    Some(ticks as f64 / 100.0)
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
    }

    #[test]
    fn memory_is_read_in_mebibytes() {
        assert_eq!(mebibytes("Name:\tx\nVmRSS:\t    2048 kB\n", "VmRSS:"), Some(2.0));
    }
}
