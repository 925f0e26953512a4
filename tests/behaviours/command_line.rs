//! The command line: `ithaca app` shows and awaits Applications, and tells in its exit code how it went.

use std::process::Output;

use anyhow::ensure;
use serde_json::Value;

use crate::scene::{Scene, automated, manifest};

#[tokio::test]
async fn applications_are_awaited_listed_and_shown() -> anyhow::Result<()> {
    let scene = Scene::new("command-line").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("command-line", "app", automated()).await?;
    let waited = scene.ithaca(&["app", "wait", "command-line", "--revision", &commit]).await?;
    ensure!(waited.status.success(), "{waited:?}");
    scene.synced("command-line", &commit).await?;

    let listed = text(scene.ithaca(&["app", "list"]).await?)?;
    let line = listed.lines().find(|line| line.contains("command-line")).unwrap_or_default();
    ensure!(line.contains("Synced") && line.contains("Healthy") && line.contains(&commit[..7]), "{listed}");
    let list: Value = serde_json::from_str(&text(scene.ithaca(&["app", "list", "-o", "json"]).await?)?)?;
    let mut all = list["items"].as_array().into_iter().flatten();
    ensure!(all.any(|app| app["metadata"]["name"] == "command-line"), "{list}");
    let shown = text(scene.ithaca(&["app", "get", "command-line"]).await?)?;
    for wanted in ["Synced", "Healthy", "ConfigMap", "settings", &scene.repository.url] {
        ensure!(shown.contains(wanted), "{wanted} is not in {shown}");
    }
    let shown = text(scene.ithaca(&["app", "get", "command-line", "-o", "yaml"]).await?)?;
    ensure!(shown.contains(&format!("revision: {commit}")), "{shown}");
    Ok(())
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_the_exit_code() -> anyhow::Result<()> {
    let scene = Scene::new("command-line-wrong").await?;
    scene.repository.write("README.md", "Nothing here.\n")?;
    scene.repository.publish("Start").await?;
    scene.create("command-line-wrong", "nowhere", automated()).await?;
    scene.refresh("command-line-wrong", "normal").await?;
    let waited = scene.ithaca(&["app", "wait", "command-line-wrong", "--timeout", "1s"]).await?;
    let said = String::from_utf8_lossy(&waited.stderr);
    ensure!(!waited.status.success() && said.contains("nowhere"), "{waited:?}");
    let shown = scene.ithaca(&["app", "get", "command-line-missing"]).await?;
    let said = String::from_utf8_lossy(&shown.stderr);
    ensure!(!shown.status.success() && said.contains("command-line-missing"), "{shown:?}");
    Ok(())
}

fn text(output: Output) -> anyhow::Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}
