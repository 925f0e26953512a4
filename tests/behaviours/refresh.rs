//! Refresh: the annotation has an Application compared anew, and goes when that is done.

use anyhow::ensure;

use crate::scene::{Scene, automated, config_map, manifest};

#[tokio::test]
async fn when_the_annotation_is_gone_the_newest_commit_is_known() -> anyhow::Result<()> {
    let scene = Scene::new("refresh").await?;
    let repository = &scene.repository;
    repository.write("app/settings.yaml", &manifest("settings", "0"))?;
    let first = repository.publish("Add settings").await?;
    scene.create("refresh", "app", automated()).await?;
    scene.synced("refresh", &first).await?;
    for (value, how) in [("1", "normal"), ("2", "normal"), ("3", "hard"), ("4", "hard")] {
        repository.write("app/settings.yaml", &manifest("settings", value))?;
        let commit = repository.commit("Change settings").await?;
        repository.push_silently().await?;
        let app = scene.refresh("refresh", how).await?;
        ensure!(app["status"]["sync"]["revision"] == commit, "{value}, {how}: {}", app["status"]["sync"]);
        scene.synced("refresh", &commit).await?;
        let settings = scene.expect(&config_map("refresh", "settings")).await?;
        ensure!(settings["data"]["value"] == value, "{how}: {settings}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refresh_of_what_did_not_change_is_answered_and_changes_nothing() -> anyhow::Result<()> {
    let scene = Scene::new("refresh-same").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("refresh-same", "app", automated()).await?;
    scene.synced("refresh-same", &commit).await?;
    let path = config_map("refresh-same", "settings");
    let before = scene.expect(&path).await?;
    for how in ["normal", "hard", "normal"] {
        let app = scene.refresh("refresh-same", how).await?;
        ensure!(app["status"]["sync"]["status"] == "Synced", "{how}: {}", app["status"]);
        ensure!(app["status"]["history"].as_array().map(Vec::len) == Some(1), "{how}: {}", app["status"]);
    }
    ensure!(before == scene.expect(&path).await?, "it was written");
    Ok(())
}

#[tokio::test]
async fn a_broken_application_answers_too() -> anyhow::Result<()> {
    let scene = Scene::new("refresh-broken").await?;
    scene.repository.write("README.md", "Nothing here.\n")?;
    scene.repository.publish("Start").await?;
    scene.create("refresh-broken", "nowhere", automated()).await?;
    let app = scene.refresh("refresh-broken", "hard").await?;
    ensure!(app["status"]["conditions"][0]["type"] == "ComparisonError", "{}", app["status"]);
    Ok(())
}
