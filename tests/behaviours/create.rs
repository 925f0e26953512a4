//! Create: what is in Git comes into the cluster, from folders, charts and overlays.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn a_folder_of_manifests_is_applied_with_its_namespace() -> anyhow::Result<()> {
    let scene = Scene::new("create-folder").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/nested/more.yaml", &manifest("more", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("create-folder", "app", automated()).await?;
    let app = scene.synced("create-folder", &commit).await?;
    let settings = scene.expect(&config_map("create-folder", "settings")).await?;
    ensure!(settings["data"]["value"] == "1", "{settings}");
    let tracking = &settings["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
    ensure!(tracking == "create-folder:/ConfigMap:create-folder/settings", "{tracking}");
    ensure!(settings["metadata"]["managedFields"][0]["manager"] == "argocd-controller", "{settings}");
    ensure!(app["status"]["sourceType"] == "Directory", "{}", app["status"]);
    let nested = scene.get(&config_map("create-folder", "more")).await?;
    ensure!(nested.is_none(), "without recurse a nested folder is left out: {nested:?}");
    Ok(())
}

#[tokio::test]
async fn a_chart_is_rendered_with_its_value_files_and_parameters() -> anyhow::Result<()> {
    let scene = Scene::new("create-chart").await?;
    let repository = &scene.repository;
    repository.write("chart/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n")?;
    repository.write("chart/values.yaml", "from: chart\nfile: chart\ninline: chart\nparameter: chart\n")?;
    repository.write("values-home.yaml", "file: file\ninline: file\nparameter: file\n")?;
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  \
         namespace: {{ .Release.Namespace }}\ndata:\n  value: {{ list .Values.from .Values.file .Values.inline \
         .Values.parameter | join \" \" | quote }}\n";
    repository.write("chart/templates/settings.yaml", template)?;
    let commit = repository.publish("Add a chart").await?;
    let mut spec = automated();
    spec["source"]["helm"] = json!({
        "valueFiles": ["values.yaml", "../values-home.yaml"],
        "valuesObject": {"inline": "inline", "parameter": "inline"},
        "parameters": [{"name": "parameter", "value": "parameter"}],
        "releaseName": "demo",
    });
    scene.create("create-chart", "chart", spec).await?;
    let app = scene.synced("create-chart", &commit).await?;
    ensure!(app["status"]["sourceType"] == "Helm", "{}", app["status"]);
    let settings = scene.expect(&config_map("create-chart", "demo")).await?;
    ensure!(settings["data"]["value"] == "chart file inline parameter", "{settings}");
    Ok(())
}

#[tokio::test]
async fn an_overlay_is_built_with_its_base_and_overrides() -> anyhow::Result<()> {
    let scene = Scene::new("create-overlay").await?;
    let repository = &scene.repository;
    repository.write("base/settings.yaml", &manifest("settings", "base"))?;
    repository.write("base/kustomization.yaml", "resources:\n- settings.yaml\n")?;
    let overlay = "resources:\n- ../../base\npatches:\n- patch: |-\n    - op: replace\n      path: /data/value\n      \
         value: home\n  target:\n    kind: ConfigMap\n";
    repository.write("overlays/home/kustomization.yaml", overlay)?;
    let commit = repository.publish("Add an overlay").await?;
    let mut spec = automated();
    spec["source"]["kustomize"] = json!({"namePrefix": "home-", "commonLabels": {"house": "home"}});
    scene.create("create-overlay", "overlays/home", spec).await?;
    let app = scene.synced("create-overlay", &commit).await?;
    ensure!(app["status"]["sourceType"] == "Kustomize", "{}", app["status"]);
    let settings = scene.expect(&config_map("create-overlay", "home-settings")).await?;
    ensure!(settings["data"]["value"] == "home", "{settings}");
    ensure!(settings["metadata"]["labels"]["house"] == "home", "{settings}");
    Ok(())
}

#[tokio::test]
async fn of_several_sources_the_last_has_the_say() -> anyhow::Result<()> {
    let scene = Scene::new("create-sources").await?;
    scene.repository.write("one/settings.yaml", &manifest("settings", "one"))?;
    scene.repository.write("one/own.yaml", &manifest("own", "one"))?;
    scene.repository.write("two/settings.yaml", &manifest("settings", "two"))?;
    let commit = scene.repository.publish("Add two sources").await?;
    let source =
        |path: &str| json!({"repoURL": scene.repository.url, "path": path, "targetRevision": "main"});
    let mut spec = automated();
    spec["source"] = json!(null);
    spec["sources"] = json!([source("one"), source("two")]);
    scene.create("create-sources", "", spec).await?;
    let app = scene.synced("create-sources", &commit).await?;
    let status = &app["status"];
    ensure!(status["sync"]["revisions"] == json!([commit, commit]), "{status}");
    ensure!(status["sourceTypes"] == json!(["Directory", "Directory"]), "{status}");
    ensure!(status["conditions"][0]["type"] == "RepeatedResourceWarning", "{status}");
    ensure!(scene.expect(&config_map("create-sources", "settings")).await?["data"]["value"] == "two");
    ensure!(scene.expect(&config_map("create-sources", "own")).await?["data"]["value"] == "one");
    Ok(())
}

#[tokio::test]
async fn without_automation_a_new_application_only_tells_what_is_missing() -> anyhow::Result<()> {
    let scene = Scene::new("create-manual").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("create-manual", "app", json!({})).await?;
    let app = scene
        .wait(&application("create-manual"), "is compared", |app| app["status"]["sync"]["revision"] == commit)
        .await?;
    let status = &app["status"];
    ensure!(status["sync"]["status"] == "OutOfSync", "{status}");
    ensure!(status["health"]["status"] == "Missing", "{status}");
    ensure!(status["resources"][0]["status"] == "OutOfSync", "{status}");
    ensure!(status["operationState"].is_null() && status["history"].is_null(), "{status}");
    scene.refresh("create-manual", "normal").await?;
    ensure!(scene.get(&config_map("create-manual", "settings")).await?.is_none(), "it was applied");
    Ok(())
}
