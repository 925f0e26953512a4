//! The project `default`: it is there before anybody asks for it, allows everything, and is the user's own from then on.

use anyhow::ensure;
use ithaca_tests::Stack;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, manifest};

const DEFAULT: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/default";

#[tokio::test]
async fn the_default_project_is_made_and_allows_everything() -> anyhow::Result<()> {
    let scene = Scene::new("default-project").await?;
    let spec = &scene.expect(DEFAULT).await?["spec"];
    ensure!(spec["sourceRepos"] == json!(["*"]), "{spec}");
    ensure!(spec["destinations"] == json!([{"server": "*", "namespace": "*"}]), "{spec}");
    ensure!(spec["clusterResourceWhitelist"] == json!([{"group": "*", "kind": "*"}]), "{spec}");
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["project"] = json!("");
    scene.create("default-project", "app", spec).await?;
    scene.synced("default-project", &commit).await?;
    scene.expect(&config_map("default-project", "settings")).await?;
    Ok(())
}

/// On a stack of its own, for all other tests live in this project.
#[tokio::test]
async fn a_default_project_of_the_users_own_is_left_alone() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "own-default").await?;
    scene.wait(DEFAULT, "is there", |_| true).await?;
    scene.patch(DEFAULT, json!({"spec": {"destinations": [{"server": "*", "namespace": "mine"}]}})).await?;
    let before = scene.expect(DEFAULT).await?;
    stack.process("applier")?.restart().await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add settings").await?;
    scene.create("own-default", "app", automated()).await?;
    let told = |app: &serde_json::Value| app["status"]["conditions"][0]["type"] == "InvalidSpecError";
    let app = scene.wait(&application("own-default"), "is not permitted", told).await?;
    ensure!(
        app["status"]["conditions"][0]["message"].to_string().contains("own-default"),
        "{}",
        app["status"]
    );
    let after = scene.expect(DEFAULT).await?;
    let version = |project: &serde_json::Value| project["metadata"]["resourceVersion"].clone();
    ensure!(version(&before) == version(&after), "it was written: {after}");
    Ok(())
}
