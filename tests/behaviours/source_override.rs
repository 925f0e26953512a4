//! A file in a source's folder says more of the source than the Application does: `.argocd-source.yaml` for all,
//! `.argocd-source-NAME.yaml` for one. A commit of such a file is a change like any other.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, manifest};

const CHART: &str = "apiVersion: v2\nname: settings\nversion: 1.0.0\n";
const TEMPLATE: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: {{ .Values.color | quote }}, size: {{ .Values.size | quote }}}
";

#[tokio::test]
async fn a_file_in_the_charts_folder_changes_what_is_rendered() -> anyhow::Result<()> {
    let scene = Scene::new("source-override").await?;
    let repository = &scene.repository;
    repository.write("chart/Chart.yaml", CHART)?;
    repository.write("chart/templates/settings.yaml", TEMPLATE)?;
    repository.write("env/prod.yaml", "size: large\n")?;
    repository.write("chart/.argocd-source.yaml", "helm: {valueFiles: [/env/prod.yaml]}\n")?;
    repository.publish("Add a chart").await?;
    let mut spec = automated();
    spec["source"] = json!({"helm": {"parameters": [{"name": "color", "value": "red"}]}});
    scene.create("source-override", "chart", spec.clone()).await?;
    let settings = config_map("source-override", "settings");
    let data = |color: &str, size: &str| json!({"color": color, "size": size});
    let is = async |expected: serde_json::Value| wait_for(&scene, &settings, expected).await;
    is(data("red", "large")).await?;

    let own = "helm:\n  parameters:\n  - {name: color, value: blue, forcestring: true}\n";
    repository.write("chart/.argocd-source-source-override.yaml", own)?;
    let commit = repository.publish("Write back a colour").await?;
    let app = scene.synced("source-override", &commit).await?;
    is(data("blue", "large")).await?;
    let compared = &app["status"]["sync"]["comparedTo"]["source"]["helm"];
    ensure!(*compared == spec["source"]["helm"], "the status tells of another spec: {compared}");

    repository.write("env/prod.yaml", "size: huge\n")?;
    repository.publish("Change the size").await?;
    is(data("blue", "huge")).await
}

#[tokio::test]
async fn a_file_that_cannot_be_followed_is_told_and_nothing_changes() -> anyhow::Result<()> {
    let scene = Scene::new("source-override-broken").await?;
    let repository = &scene.repository;
    repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = repository.publish("Add settings").await?;
    scene.create("source-override-broken", "app", automated()).await?;
    scene.synced("source-override-broken", &first).await?;

    repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    repository.write("app/.argocd-source.yaml", "helm: {parameters: 5}\n")?;
    repository.publish("Break it").await?;
    let path = application("source-override-broken");
    let told = scene.wait(&path, "tells of the file", |app| {
        let condition = &app["status"]["conditions"][0];
        let message = condition["message"].as_str().unwrap_or_default();
        condition["type"] == "ComparisonError" && message.contains("failed to read app/.argocd-source.yaml")
    });
    told.await?;
    let settings = scene.expect(&config_map("source-override-broken", "settings")).await?;
    ensure!(settings["data"]["value"] == "1", "{settings}");

    repository.write("app/.argocd-source.yaml", "directory: {exclude: nothing}\n")?;
    let mended = repository.publish("Mend it").await?;
    scene.synced("source-override-broken", &mended).await?;
    Ok(())
}

async fn wait_for(scene: &Scene<'_>, path: &str, data: serde_json::Value) -> anyhow::Result<()> {
    ithaca_tests::wait_until(&format!("{path} holds {data}"), crate::scene::DEADLINE, async || {
        let object = scene.expect(path).await?;
        ensure!(object["data"] == data, "it holds {}", object["data"]);
        Ok(())
    })
    .await
}
