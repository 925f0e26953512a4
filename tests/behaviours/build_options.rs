//! What the installation says on kustomize's command line: it reaches every overlay, and a change of it renders anew.

use anyhow::ensure;
use ithaca_tests::Stack;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

const TEMPLATE: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ .Release.Name }}'}
data: {value: '{{ .Values.value }}', version: '{{ .Capabilities.KubeVersion.Major }}'}
";

#[tokio::test]
async fn an_overlay_inflates_a_chart_once_the_installation_allows_it() -> anyhow::Result<()> {
    // A stack of its own: the options are for the whole installation.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "build-options").await?;
    let repository = &scene.repository;
    let overlay = "resources: [plain.yaml]\nhelmCharts: [{name: cache, releaseName: cache, valuesInline: {value: inline}}]\n";
    repository.write("app/kustomization.yaml", overlay)?;
    repository.write("app/plain.yaml", &manifest("plain", "1"))?;
    repository.write("app/charts/cache/Chart.yaml", "apiVersion: v2\nname: cache\nversion: 1.0.0\n")?;
    repository.write("app/charts/cache/values.yaml", "value: default\n")?;
    repository.write("app/charts/cache/templates/settings.yaml", TEMPLATE)?;
    let commit = repository.publish("Add an overlay with a chart").await?;
    scene.create("build-options", "app", automated()).await?;
    let says =
        |words: &'static str| move |app: &Value| app["status"]["conditions"].to_string().contains(words);
    let hint = "kustomize.buildOptions of the ConfigMap argocd-cm has --enable-helm";
    scene.wait(&application("build-options"), "says what is missing", says(hint)).await?;

    scene.settings(&[("kustomize.buildOptions", "--enable-helm --enable-alpha-plugins")]).await?;
    scene.synced("build-options", &commit).await?;
    let cache = scene.expect(&config_map("build-options", "cache")).await?;
    ensure!(cache["data"] == json!({"value": "inline", "version": "1"}), "{cache}");

    scene.settings(&[("kustomize.buildOptions", "--enable-helm --output /tmp/x")]).await?;
    scene.wait(&application("build-options"), "says what is wrong", says("--output cannot be given")).await?;
    scene.expect(&config_map("build-options", "cache")).await?;
    Ok(())
}
