//! Orphaned resources: where a project asks, an Application tells how many objects of its namespace nobody manages.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";

#[tokio::test]
async fn objects_that_nobody_manages_are_counted_where_the_project_asks() -> anyhow::Result<()> {
    let scene = Scene::new("orphans").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let spec = json!({
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        "orphanedResources": {"warn": true, "ignore": [{"kind": "ConfigMap", "name": "known-*"}]},
    });
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "spec": spec,
        "metadata": {"name": "orphans", "namespace": "argocd"},
    });
    scene.post(PROJECTS, &project).await?;
    let mut spec = automated();
    spec["project"] = json!("orphans");
    scene.create("orphans", "app", spec).await?;
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
