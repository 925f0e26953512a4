//! Rollback: `git revert`, and nothing else.

use anyhow::ensure;

use crate::scene::{Scene, automated, config_map, manifest};

#[tokio::test]
async fn a_revert_brings_the_cluster_back() -> anyhow::Result<()> {
    let scene = Scene::new("rollback").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/old.yaml", &manifest("old", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("rollback", "app", automated()).await?;
    scene.synced("rollback", &first).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    scene.repository.write("app/new.yaml", &manifest("new", "2"))?;
    scene.repository.remove("app/old.yaml")?;
    let second = scene.repository.publish("Change everything").await?;
    scene.synced("rollback", &second).await?;
    scene.gone(&config_map("rollback", "old")).await?;
    let third = scene.repository.revert().await?;
    scene.repository.push().await?;
    let app = scene.synced("rollback", &third).await?;
    ensure!(scene.expect(&config_map("rollback", "settings")).await?["data"]["value"] == "1");
    scene.expect(&config_map("rollback", "old")).await?;
    scene.gone(&config_map("rollback", "new")).await?;
    let history = app["status"]["history"].as_array().map(Vec::len);
    ensure!(history == Some(3), "{}", app["status"]["history"]);
    Ok(())
}
