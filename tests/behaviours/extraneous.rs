//! Extraneous objects: one that says `IgnoreExtraneous` stays when Git no longer has it, and its Application is Synced.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, automated, config_map, manifest};

#[tokio::test]
async fn an_object_that_says_so_is_no_reason_to_sync_or_prune() -> anyhow::Result<()> {
    let scene = Scene::new("extraneous").await?;
    let mark = "metadata:\n  annotations:\n    argocd.argoproj.io/compare-options: IgnoreExtraneous";
    scene.repository.write("app/stays.yaml", &manifest("stays", "1").replacen("metadata:", mark, 1))?;
    scene.repository.write("app/goes.yaml", &manifest("goes", "1"))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("extraneous", "app", automated()).await?;
    let before = scene.synced("extraneous", &commit).await?;

    scene.repository.remove("app/stays.yaml")?;
    let commit = scene.repository.publish("Remove what stays").await?;
    let app = scene.synced("extraneous", &commit).await?;
    let of = |name: &str| {
        let all = app["status"]["resources"].as_array().into_iter().flatten();
        all.clone().find(|one| one["name"] == name).cloned().unwrap_or_default()
    };
    ensure!(of("stays")["status"] == "OutOfSync", "{}", app["status"]);
    ensure!(of("stays")["requiresPruning"] == true, "{}", app["status"]);
    ensure!(app["status"]["operationState"] == before["status"]["operationState"], "{}", app["status"]);
    let stays = config_map("extraneous", "stays");
    scene.expect(&stays).await?;

    // Without the word of the object it is as any other.
    let unmarked = json!({"metadata": {"annotations": {"argocd.argoproj.io/compare-options": null}}});
    scene.patch(&stays, unmarked).await?;
    scene.gone(&stays).await?;
    scene.expect(&config_map("extraneous", "goes")).await?;
    Ok(())
}
