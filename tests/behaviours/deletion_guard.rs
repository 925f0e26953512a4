//! The deletion guard: a commit that would delete most of an application waits for somebody's word.

use anyhow::ensure;
use serde_json::Value;

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn a_commit_that_deletes_most_waits_and_a_confirmation_or_a_revert_goes_on() -> anyhow::Result<()> {
    let scene = Scene::new("guard").await?;
    for number in 0..12 {
        let name = format!("settings-{number}");
        scene.repository.write(&format!("app/{name}.yaml"), &manifest(&name, "1"))?;
    }
    let first = scene.repository.publish("Add settings").await?;
    scene.create("guard", "app", automated()).await?;
    scene.synced("guard", &first).await?;

    for number in 0..11 {
        scene.repository.remove(&format!("app/settings-{number}.yaml"))?;
    }
    scene.repository.write("app/settings-11.yaml", &manifest("settings-11", "2"))?;
    scene.repository.publish("Lose most of it").await?;
    let name = application("guard");
    let held = |app: &Value| {
        let told = app["status"]["conditions"].to_string();
        app["status"]["operationState"]["phase"] == "Running"
            && told.contains("PruneHeldWarning")
            && told.contains("11 of 12 objects would be deleted")
    };
    scene.wait(&name, "waits", held).await?;
    scene.event("guard", "PruneHeldWarning", "would be deleted").await?;
    // What is no deletion is done all the same.
    scene.wait(&config_map("guard", "settings-11"), "is changed", |map| map["data"]["value"] == "2").await?;
    scene.expect(&config_map("guard", "settings-0")).await?;

    let reverted = scene.repository.revert().await?;
    scene.repository.push().await?;
    let app = scene.synced("guard", &reverted).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    scene.expect(&config_map("guard", "settings-0")).await?;

    let again = scene.repository.revert().await?;
    scene.repository.push().await?;
    scene.wait(&name, "waits again", held).await?;
    scene.approve("guard").await?;
    scene.synced("guard", &again).await?;
    scene.gone(&config_map("guard", "settings-0")).await
}
