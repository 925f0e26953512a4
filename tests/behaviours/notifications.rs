//! Notifications: what happened to an Application is told as Kubernetes Events on it, and in the audit trail.

use anyhow::{Context, ensure};
use ithaca_tests::wait_until;
use serde_json::{Value, json};

use crate::scene::{DEADLINE, Scene, automated, config_map, manifest};

#[tokio::test]
async fn a_sync_and_drift_are_told_on_the_application() -> anyhow::Result<()> {
    let scene = Scene::new("notifications").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("notifications", "app", automated()).await?;
    let app = scene.synced("notifications", &commit).await?;
    let event = scene.event("notifications", "OperationCompleted", &commit[..7]).await?;
    ensure!(event["type"] == "Normal", "{event}");
    ensure!(event["involvedObject"]["uid"] == app["metadata"]["uid"], "{event}");
    scene.patch(&config_map("notifications", "settings"), json!({"data": {"value": "edited"}})).await?;
    let drift = scene.event("notifications", "DriftDetected", "settings").await?;
    ensure!(drift["message"].to_string().contains("tester"), "it does not say who: {drift}");
    Ok(())
}

#[tokio::test]
async fn a_broken_commit_is_told_as_a_warning() -> anyhow::Result<()> {
    let scene = Scene::new("notifications-broken").await?;
    scene.repository.write("app/broken.yaml", "apiVersion: v1\nkind: [\n")?;
    scene.repository.publish("Break it").await?;
    scene.create("notifications-broken", "app", automated()).await?;
    let event = scene.event("notifications-broken", "ComparisonError", "app/broken.yaml").await?;
    ensure!(event["type"] == "Warning", "{event}");
    Ok(())
}

#[tokio::test]
async fn the_audit_trail_says_who_committed_what_and_what_came_of_it() -> anyhow::Result<()> {
    let scene = Scene::new("notifications-audit").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("notifications-audit", "app", automated()).await?;
    scene.synced("notifications-audit", &commit).await?;
    let log = &scene.stack.process("notifier")?.program().log;
    let logs = log.parent().context("a log without a folder")?;
    let line = wait_until("the sync is in the audit trail", DEADLINE, async || {
        // Another test may have a notifier of its own run for a while; each event goes to one of the two.
        let logs = std::fs::read_dir(logs)?.flatten().map(|log| log.path());
        let logs = logs
            .filter(|log| log.file_name().is_some_and(|name| name.to_string_lossy().starts_with("notifier")));
        let lines: Vec<_> = logs.map(std::fs::read_to_string).collect::<Result<_, _>>()?;
        let lines = lines.iter().flat_map(|lines| lines.lines());
        let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let wanted = |line: &Value| {
            line["event"] == "SyncFinished" && line["application"]["name"] == "notifications-audit"
        };
        lines.find(wanted).context("it is not there")
    })
    .await?;
    ensure!(line["commit"]["author"] == "Ada Tester <ada@example.com>", "{line}");
    ensure!(line["commit"]["subject"] == "Add settings", "{line}");
    ensure!(line["results"][0]["name"] == "settings", "{line}");
    ensure!(line["seconds"]["total"].as_f64().is_some_and(|seconds| seconds > 0.0), "{line}");
    Ok(())
}
