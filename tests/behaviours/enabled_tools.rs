//! What the installation does not let manifests be made with is not used: a folder is then a plain one.

use anyhow::ensure;
use ithaca_tests::Stack;
use serde_json::Value;

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn an_overlay_is_a_plain_folder_where_kustomize_is_not_enabled() -> anyhow::Result<()> {
    // A stack of its own: the settings are for the whole installation.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "enabled-tools").await?;
    let repository = &scene.repository;
    repository.write("app/kustomization.yaml", "resources: [a.yaml]\n")?;
    repository.write("app/a.yaml", &manifest("a", "1"))?;
    repository.write("app/b.yaml", &manifest("b", "1"))?;
    repository.write("app/c.jsonnet", "{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'c'}}")?;
    let commit = repository.publish("Add an overlay beside manifests").await?;
    scene.create("enabled-tools", "app", automated()).await?;
    let app = scene.synced("enabled-tools", &commit).await?;
    ensure!(app["status"]["sourceType"] == "Kustomize", "{}", app["status"]["sourceType"]);
    ensure!(scene.get(&config_map("enabled-tools", "b")).await?.is_none(), "the overlay leaves b out");

    let path = application("enabled-tools");
    let is_directory = |app: &Value| {
        app["status"]["sourceType"] == "Directory" && app["status"]["sync"]["status"] == "Synced"
    };
    scene.settings(&[("kustomize.enable", "false"), ("jsonnet.enable", "false")]).await?;
    scene.wait(&path, "is a plain folder", is_directory).await?;
    scene.expect(&config_map("enabled-tools", "b")).await?;
    ensure!(scene.get(&config_map("enabled-tools", "c")).await?.is_none(), "Jsonnet is not enabled");
    scene.settings(&[("kustomize.enable", "false")]).await?;
    scene.wait(&config_map("enabled-tools", "c"), "is evaluated", |_| true).await.map(drop)
}
