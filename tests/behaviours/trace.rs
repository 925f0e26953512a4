//! Telemetry: one trace follows a commit through all stages, and metrics reach a collector.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use ithaca_tests::{SERVICES, Span, wait_until};

use crate::scene::{DEADLINE, Scene, automated, manifest};

#[tokio::test]
async fn one_trace_follows_a_commit_through_all_stages() -> anyhow::Result<()> {
    let scene = Scene::new("trace").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("trace", "app", automated()).await?;
    scene.synced("trace", &first).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Raise the settings").await?;
    scene.synced("trace", &second).await?;

    wait_until("one trace holds all stages", DEADLINE, async || {
        let spans = scene.stack.collector()?.spans();
        let published = spans
            .iter()
            .find(|span| span.name == "publish revision" && span.attributes.get("revision") == Some(&second));
        let trace = &published.context("the watcher has not told of it")?.trace;
        let steps = BTreeSet::from_iter(spans.iter().filter(|span| span.trace == *trace).map(step));
        for wanted in [
            "ithaca-watcher: webhook",
            "ithaca-watcher: observe repository",
            "ithaca-watcher: publish revision",
            "ithaca-watcher: get content",
            "ithaca-renderer: render",
            "ithaca-applier: reconcile",
            "ithaca-applier: apply",
            "ithaca-applier: publish",
            "ithaca-notifier: notify",
        ] {
            ensure!(steps.contains(wanted), "{wanted} is not among {steps:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_process_sends_its_metrics() -> anyhow::Result<()> {
    let scene = Scene::new("trace-metrics").await?;
    // The console counts requests, so it needs one.
    reqwest::get(&scene.stack.services()?.console).await?.error_for_status()?;
    wait_until("every process has sent metrics", DEADLINE, async || {
        let metrics = scene.stack.collector()?.metrics();
        for service in SERVICES {
            let service = format!("ithaca-{service}");
            let sent = metrics.iter().any(|(by, name)| *by == service && name.starts_with("ithaca_"));
            ensure!(sent, "{service} is not in {metrics:?}");
        }
        Ok(())
    })
    .await
}

fn step(span: &Span) -> String {
    format!("{}: {}", span.service, span.name)
}
