//! Paths that an Application says its manifests come from: a commit that changes none of them only moves the revision.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn only_a_change_of_the_named_paths_is_rendered() -> anyhow::Result<()> {
    let name = "generate-paths";
    let scene = Scene::new(name).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/other.yaml", &manifest("other", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create(name, "app", automated()).await?;
    let paths = json!({"metadata": {"annotations": {
        "argocd.argoproj.io/manifest-generate-paths": "settings.*;/shared"}}});
    scene.patch(&application(name), paths).await?;
    scene.synced(name, &first).await?;
    scene.refresh(name, "normal").await?;

    scene.repository.write("app/other.yaml", &manifest("other", "2"))?;
    let second = scene.repository.publish("Change what is not named").await?;
    scene.synced(name, &second).await?;
    let other = scene.expect(&config_map(name, "other")).await?;
    ensure!(other["data"]["value"] == "1", "a commit that changed no named path was rendered: {other}");

    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let third = scene.repository.publish("Change what is named").await?;
    scene.synced(name, &third).await?;
    let has = |value: &'static str| move |object: &Value| object["data"]["value"] == value;
    scene.wait(&config_map(name, "settings"), "has the named change", has("2")).await?;
    scene.wait(&config_map(name, "other"), "has what was left out before", has("2")).await?;

    scene.repository.write("app/other.yaml", &manifest("other", "3"))?;
    let fourth = scene.repository.publish("Change once more what is not named").await?;
    scene.synced(name, &fourth).await?;
    scene.refresh(name, "hard").await?;
    scene.wait(&config_map(name, "other"), "has what a hard refresh reads", has("3")).await?;
    Ok(())
}
