//! Tells people and systems what happened.
//!
//! What comes in: `Event` from the bus. What goes out: Kubernetes Events on the Applications, the audit
//! trail on standard output, and requests to the webhooks of `--webhook-config`.
//! What it does not do: decide what happens to an application, or write anything else to a cluster.
//! Each sink reads the events at its own pace, so that one that is slow or down holds back no other.

mod args;
mod audit;
mod kubernetes;
mod metrics;
mod pace;
mod record;
mod sink;
mod webhook;
mod wording;

use anyhow::Context;
use ithaca_bus::Bus;
use ithaca_chassis::{CountRequests, Process};
use tokio::task::JoinSet;

pub use args::Args;
use audit::Audit;
use kubernetes::Kubernetes;
use metrics::Metrics;
use webhook::Webhook;

/// Delivers events until the process shall end.
pub async fn run(args: Args, process: Process) -> anyhow::Result<()> {
    let Args { chassis: _, bus, kubernetes_events_per_second, webhook_config } = args;
    let webhooks = match &webhook_config {
        Some(path) => webhook::load(path)?,
        None => Vec::new(),
    };
    let config = kube::Config::infer().await.context("failed to find the Kubernetes API server")?;
    let requests = CountRequests::new("ithaca_kubernetes_requests");
    let client = kube::client::ClientBuilder::try_from(config)?.with_layer(&requests).build();
    let connected = process.health.part("bus");
    let bus = tokio::select! {
        bus = Bus::connect(&bus, process.name) => bus?,
        () = process.shutdown.cancelled() => return Ok(()),
    };
    connected.set(true);

    let mut sinks = JoinSet::new();
    let metrics = Metrics::new();
    sinks.spawn(sink::drain(Audit, bus.clone(), metrics.clone(), process.shutdown.clone()));
    if kubernetes_events_per_second > 0 {
        let kubernetes = Kubernetes::new(client, kubernetes_events_per_second);
        sinks.spawn(sink::drain(kubernetes, bus.clone(), metrics.clone(), process.shutdown.clone()));
    }
    for settings in webhooks {
        tracing::info!(webhook = settings.name, host = settings.url.host_str(), "events go to a webhook");
        let webhook = Webhook::new(settings)?;
        sinks.spawn(sink::drain(webhook, bus.clone(), metrics.clone(), process.shutdown.clone()));
    }
    while let Some(ended) = sinks.join_next().await {
        ended.context("a sink failed")?;
        anyhow::ensure!(process.shutdown.is_cancelled(), "a sink ended by itself");
    }
    bus.close().await;
    Ok(())
}
