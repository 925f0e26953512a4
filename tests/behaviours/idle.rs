//! Idle: Git is looked at again and again, and as long as nothing changes nothing is written.

use anyhow::{Context, ensure};
use ithaca_tests::{Stack, wait_until};
use serde_json::json;

use crate::scene::{DEADLINE, Scene, automated, manifest};

#[tokio::test]
async fn looking_without_finding_anything_new_writes_nothing() -> anyhow::Result<()> {
    // A stack of its own: all that Ithaca writes to the API server is counted.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "idle").await?;
    let often = json!({
        "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": {"timeout.reconciliation": "1s", "timeout.reconciliation.jitter": "0s"},
    });
    scene.post("/api/v1/namespaces/argocd/configmaps", &often).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("idle", "app", automated()).await?;
    scene.create("idle-broken", "nowhere", automated()).await?;
    scene.synced("idle", &commit).await?;
    scene.refresh("idle-broken", "normal").await?;
    // Kubernetes Events may still be on their way, for longer than any look takes.
    let before = wait_until("all is told", DEADLINE, async || {
        let before = written(&scene).await?;
        looked_again(&stack, 3.0).await?;
        let after = written(&scene).await?;
        ensure!(before == after, "{} writes", after - before);
        Ok(after)
    })
    .await?;
    ensure!(before > 0.0, "the API server does not count Ithaca's writes");
    looked_again(&stack, 5.0).await?;
    let after = written(&scene).await?;
    ensure!(before == after, "{} writes while nothing changed", after - before);
    stack.stop().await
}

/// Waits until the watcher has asked the Git server that many times more.
async fn looked_again(stack: &Stack, times: f64) -> anyhow::Result<()> {
    let url = stack.process("watcher")?.program().metrics.clone().context("it has no metrics")?;
    let looked = async || {
        let page = reqwest::get(&url).await?.text().await?;
        Ok::<_, anyhow::Error>(sum(&page, "ithaca_watch_ls_remote_seconds_count", ""))
    };
    let before = looked().await?;
    wait_until("the watcher has looked again", DEADLINE, async || {
        let now = looked().await?;
        ensure!(now >= before + times, "it looked {} times", now - before);
        Ok(())
    })
    .await
}

/// How many writing requests of Ithaca the API server has served.
async fn written(scene: &Scene<'_>) -> anyhow::Result<f64> {
    let page = scene.stack.cluster.kubectl(&["get", "--raw", "/metrics"]).await?;
    Ok(sum(&page, "apiserver_flowcontrol_dispatched_requests_total", "flow_schema=\"ithaca-writes\""))
}

/// The sum of a metric's series that have a label.
fn sum(page: &str, metric: &str, label: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(metric) && line.contains(label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
