//! Skip: an Application with `skip-reconcile` is left alone until the annotation goes.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn nothing_happens_to_a_skipped_application() -> anyhow::Result<()> {
    let scene = Scene::new("skip").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("other/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("skip", "app", automated()).await?;
    scene.create("skip-other", "other", automated()).await?;
    scene.synced("skip", &first).await?;
    let skip = |value| json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": value}}});
    scene.patch(&application("skip"), skip(Some("true"))).await?;
    // What is told of the neighbour comes after it in the same watch: the annotation is known from then on.
    scene.refresh("skip-other", "normal").await?;
    let before = scene.expect(&application("skip")).await?;
    let settings = config_map("skip", "settings");
    scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    scene.repository.write("other/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change settings").await?;
    // The neighbour, which the same commit changes, shows that its time has come.
    scene.synced("skip-other", &second).await?;
    ensure!(before == scene.expect(&application("skip")).await?, "it was written");
    ensure!(scene.expect(&settings).await?["data"]["value"] == "edited", "it was healed");
    scene.patch(&application("skip"), skip(None)).await?;
    scene.synced("skip", &second).await?;
    ensure!(scene.expect(&settings).await?["data"]["value"] == "2", "it was not applied");
    Ok(())
}
