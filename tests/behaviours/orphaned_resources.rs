//! Orphaned resources: where a project asks, an Application tells how many objects of its namespace nobody manages.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{PROJECTS, Scene, application, config_map, manifest, of_project, project};

#[tokio::test]
async fn objects_that_nobody_manages_are_counted_where_the_project_asks() -> anyhow::Result<()> {
    let scene = Scene::new("orphans").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let told_of =
        json!({"orphanedResources": {"warn": true, "ignore": [{"kind": "ConfigMap", "name": "known-*"}]}});
    scene.post(PROJECTS, &project("orphans", &told_of)).await?;
    scene.create("orphans", "app", of_project("orphans")).await?;
    scene.synced("orphans", &commit).await?;
    for name in ["stray", "known-stray"] {
        scene.post("/api/v1/namespaces/orphans/configmaps", &json!({"metadata": {"name": name}})).await?;
    }
    told(&scene, Some("Application has 1 orphaned resources")).await?;
    scene.post("/api/v1/namespaces/orphans/secrets", &json!({"metadata": {"name": "stray"}})).await?;
    told(&scene, Some("Application has 2 orphaned resources")).await?;
    scene.delete(&config_map("orphans", "stray")).await?;
    let app = told(&scene, Some("Application has 1 orphaned resources")).await?;
    ensure!(app["status"]["sync"]["status"] == "Synced", "{}", app["status"]["sync"]);
    scene.patch(&format!("{PROJECTS}/orphans"), json!({"spec": {"orphanedResources": null}})).await?;
    told(&scene, None).await?;
    Ok(())
}

async fn told(scene: &Scene<'_>, message: Option<&str>) -> anyhow::Result<Value> {
    let is_told = |app: &Value| {
        let conditions = app["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let told = conditions.iter().find(|condition| condition["type"] == "OrphanedResourceWarning");
        told.map(|condition| condition["message"].as_str().unwrap_or_default()) == message
    };
    scene.wait(&application("orphans"), &format!("tells {message:?}"), is_told).await
}
