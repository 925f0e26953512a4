//! `helm template` by itself, as a person would run it.
//!
//! In: the charts in a working clone. Out: the CPU and the time that it takes to render each of them once.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use futures::{StreamExt, TryStreamExt, stream};
use ithaca_tests::{Progress, Repository};
use serde::Serialize;
use tokio::process::Command;

use crate::bench::{process, workload};

/// What it took.
#[derive(Debug, Serialize)]
pub struct Floor {
    /// Of all of them together.
    pub cpu_seconds: f64,
    /// On the clock, with as many at once as there are cores.
    pub seconds: f64,
}

/// Renders each chart once.
pub async fn measure(
    helm: &Path,
    repository: &Repository,
    apps: usize,
    progress: &Progress,
) -> anyhow::Result<Floor> {
    let cores = std::thread::available_parallelism()?.get();
    let (started, before) = (Instant::now(), process::ended_children()?);
    let runs = (0..apps).map(async |number| {
        progress.detail(&format!("{number} of {apps}"));
        let name = workload::name(number);
        let chart = repository.folder.join("apps").join(&name);
        let mut command = Command::new(helm);
        command.args(["template", &name]).arg(chart);
        let output = command.args(["--namespace", workload::NAMESPACE, "--include-crds"]).output().await?;
        ensure!(output.status.success(), "helm: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    });
    stream::iter(runs).buffer_unordered(cores).try_collect::<Vec<()>>().await?;
    Ok(Floor { cpu_seconds: process::ended_children()? - before, seconds: started.elapsed().as_secs_f64() })
}
