//! `ithaca app wait`: follows one Application by a watch until it is as wanted.

use std::{io::IsTerminal, pin::pin, time::Duration};

use anyhow::{Context, bail};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use kube::{
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};

use super::{
    Wanted,
    cluster::{Cluster, parse},
    readiness::{Readiness, judge},
    text,
};

/// Waits; fails with the reason when the time is over, or before when waiting has become pointless.
pub async fn run(cluster: &Cluster, name: &str, wanted: &Wanted, timeout: Duration) -> anyhow::Result<()> {
    // Tells an unknown name and an unreachable cluster at once, which a watch would wait for.
    let mut last = step(name, &cluster.get(name).await?, wanted)?;
    let spinner = spinner(name);
    let watching = watch(cluster, name, wanted, &spinner, &mut last);
    let outcome = tokio::time::timeout(timeout, watching).await;
    spinner.finish_and_clear();
    match outcome {
        Ok(ended) => ended?,
        Err(_) => bail!(
            "failed to see {name} ready within {}: {}",
            text::span(i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX)),
            last.unwrap_or_default()
        ),
    }
    eprintln!("{name} is ready");
    Ok(())
}

async fn watch(
    cluster: &Cluster,
    name: &str,
    wanted: &Wanted,
    spinner: &ProgressBar,
    last: &mut Option<String>,
) -> anyhow::Result<()> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = pin!(watcher::watcher(cluster.applications(), config).default_backoff());
    let mut is_there = false;
    while let Some(missing) = last {
        spinner.set_message(missing.clone());
        match events.next().await.context("the watch ended")? {
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                is_there = true;
                *last = step(name, &object, wanted)?;
            }
            Ok(Event::Init) => is_there = false,
            Ok(Event::InitDone) if is_there => {}
            Ok(Event::InitDone | Event::Delete(_)) => bail!("{name} was deleted while it was waited for"),
            Err(error) => spinner.set_message(format!("the cluster does not answer: {error}")),
        }
    }
    Ok(())
}

/// What is missing; none when all is as wanted.
fn step(name: &str, object: &DynamicObject, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    match judge(&parse(object)?, wanted) {
        Readiness::Ready => Ok(None),
        Readiness::Waiting(missing) => Ok(Some(missing)),
        Readiness::Failed(why) => bail!("{name} will not be ready: {why}"),
    }
}

/// Turns on a terminal only.
fn spinner(name: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_prefix(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {prefix:.bold} {wide_msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
