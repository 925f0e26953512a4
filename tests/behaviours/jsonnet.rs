//! Jsonnet in a plain folder: it is rendered, a change of a library that it imports renders it again, and a program
//! without end is a condition of its own Application.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, manifest};

const PROGRAM: &str = "
local settings = import 'settings.libsonnet';
function(count) [settings(std.extVar('app') + '-' + i) for i in std.range(1, count)]
";

const LIBRARY: &str = "
function(name) { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: name }, data: { value: 'one' } }
";

#[tokio::test]
async fn programs_are_rendered_and_rendered_again_when_a_library_changes() -> anyhow::Result<()> {
    let scene = Scene::new("jsonnet").await?;
    let repository = &scene.repository;
    repository.write("app/main.jsonnet", PROGRAM)?;
    repository.write("app/plain.yaml", &manifest("plain", "1"))?;
    repository.write("lib/settings.libsonnet", LIBRARY)?;
    let commit = repository.publish("Add a program").await?;
    let mut spec = automated();
    spec["source"] = json!({"directory": {"jsonnet": {
        "extVars": [{"name": "app", "value": "$ARGOCD_APP_NAME"}],
        "tlas": [{"name": "count", "value": "1 + 1", "code": true}],
        "libs": ["lib"],
    }}});
    scene.create("jsonnet", "app", spec).await?;
    let app = scene.synced("jsonnet", &commit).await?;
    ensure!(app["status"]["sourceType"] == "Directory", "{}", app["status"]);
    for (name, value) in [("jsonnet-1", "one"), ("jsonnet-2", "one"), ("plain", "1")] {
        let found = scene.expect(&config_map("jsonnet", name)).await?;
        ensure!(found["data"]["value"] == value, "{found}");
    }

    repository.write("lib/settings.libsonnet", &LIBRARY.replace("one", "two"))?;
    let commit = repository.publish("Change the library").await?;
    scene.synced("jsonnet", &commit).await?;
    let found = scene.expect(&config_map("jsonnet", "jsonnet-2")).await?;
    ensure!(found["data"]["value"] == "two", "{found}");
    Ok(())
}

#[tokio::test]
async fn a_program_that_cannot_be_evaluated_changes_nothing_and_is_told_with_its_place() -> anyhow::Result<()>
{
    let scene = Scene::new("jsonnet-broken").await?;
    let repository = &scene.repository;
    repository.write("app/main.jsonnet", &format!("local f = {LIBRARY};\nf('kept')"))?;
    let commit = repository.publish("Add a program").await?;
    scene.create("jsonnet-broken", "app", automated()).await?;
    scene.synced("jsonnet-broken", &commit).await?;

    for (program, words) in [
        ("local f(n) = [f(n + 1)];\nf(0)", "failed to evaluate app/main.jsonnet: more than 500 calls"),
        ("importstr '../../../../etc/hostname'", "it is not in the repository (app/main.jsonnet:1:1)"),
    ] {
        repository.write("app/main.jsonnet", program)?;
        repository.publish("Break the program").await?;
        let told = |app: &serde_json::Value| app["status"]["conditions"].to_string().contains(words);
        scene.wait(&application("jsonnet-broken"), &format!("says {words:?}"), told).await?;
    }
    scene.expect(&config_map("jsonnet-broken", "kept")).await?;
    Ok(())
}
