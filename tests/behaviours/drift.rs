//! Drift: what somebody changes in the cluster is put right, or told of where self-heal is off.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn an_edit_is_undone() -> anyhow::Result<()> {
    let scene = Scene::new("drift-edit").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("drift-edit", "app", automated()).await?;
    scene.synced("drift-edit", &commit).await?;
    let path = config_map("drift-edit", "settings");
    scene.patch(&path, json!({"data": {"value": "edited"}})).await?;
    scene.wait(&path, "is as in Git", |object| object["data"]["value"] == "1").await?;
    let healed = |app: &serde_json::Value| {
        let state = &app["status"]["operationState"];
        state["operation"]["sync"]["autoHealAttemptsCount"] == 1 && state["phase"] == "Succeeded"
    };
    let app = scene.wait(&application("drift-edit"), "tells of it", healed).await?;
    let status = &app["status"];
    let operation = &status["operationState"]["operation"];
    ensure!(operation["initiatedBy"]["automated"] == true, "{operation}");
    ensure!(operation["sync"]["resources"][0]["name"] == "settings", "{operation}");
    ensure!(status["history"].as_array().is_some_and(|history| history.len() == 1), "{}", status["history"]);
    Ok(())
}

#[tokio::test]
async fn a_deletion_is_undone_and_so_is_the_next() -> anyhow::Result<()> {
    let scene = Scene::new("drift-delete").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("drift-delete", "app", automated()).await?;
    scene.synced("drift-delete", &commit).await?;
    let path = config_map("drift-delete", "settings");
    for _ in 0..2 {
        let before = scene.wait(&path, "is there", |object| object["data"]["value"] == "1").await?;
        scene.delete(&path).await?;
        let uid = &before["metadata"]["uid"];
        scene.wait(&path, "is there again", |object| &object["metadata"]["uid"] != uid).await?;
    }
    scene.synced("drift-delete", &commit).await?;
    Ok(())
}

#[tokio::test]
async fn a_field_that_git_does_not_speak_of_is_nobodys_drift() -> anyhow::Result<()> {
    let scene = Scene::new("drift-other").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("drift-other", "app", automated()).await?;
    let before = scene.synced("drift-other", &commit).await?;
    let path = config_map("drift-other", "settings");
    scene.patch(&path, json!({"data": {"other": "mine"}})).await?;
    let after = scene.refresh("drift-other", "normal").await?;
    ensure!(after["status"]["sync"]["status"] == "Synced", "{}", after["status"]);
    ensure!(before["status"]["operationState"] == after["status"]["operationState"], "{}", after["status"]);
    let settings = scene.expect(&path).await?;
    ensure!(settings["data"] == json!({"value": "1", "other": "mine"}), "{settings}");
    Ok(())
}

#[tokio::test]
async fn without_self_heal_drift_is_only_told() -> anyhow::Result<()> {
    let scene = Scene::new("drift-told").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/more.yaml", &manifest("more", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("drift-told", "app", json!({"syncPolicy": {"automated": {"prune": true}}})).await?;
    scene.synced("drift-told", &first).await?;
    let (settings, more) = (config_map("drift-told", "settings"), config_map("drift-told", "more"));
    scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
    scene.delete(&more).await?;
    let name = application("drift-told");
    let app = scene
        .wait(&name, "tells of both", |app| {
            let resources = app["status"]["resources"].as_array();
            resources.is_some_and(|all| all.len() == 2 && all.iter().all(|one| one["status"] == "OutOfSync"))
        })
        .await?;
    ensure!(app["status"]["sync"]["status"] == "OutOfSync", "{}", app["status"]);
    ensure!(app["status"]["resources"][0]["health"]["status"] == "Missing", "{}", app["status"]);
    scene.refresh("drift-told", "normal").await?;
    ensure!(scene.expect(&settings).await?["data"]["value"] == "edited", "it was undone");
    ensure!(scene.get(&more).await?.is_none(), "it was undone");
    // The next commit is a reason to sync, and takes the drift along.
    scene.repository.write("app/more.yaml", &manifest("more", "2"))?;
    let second = scene.repository.publish("Change more").await?;
    scene.synced("drift-told", &second).await?;
    ensure!(scene.expect(&settings).await?["data"]["value"] == "1", "it was not undone");
    Ok(())
}
