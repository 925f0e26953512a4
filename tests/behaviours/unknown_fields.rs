//! Unknown fields: what the cluster's schema does not know, such as a misspelt field, is left out and told of. It is no
//! drift.

use anyhow::ensure;
use ithaca_tests::Stack;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

/// A child Application with a field that may be misspelt.
fn child(scene: &Scene<'_>, info: &str) -> String {
    let spec = json!({info: [{"name": "a", "value": "b"}]});
    // JSON is YAML.
    scene.application("unknown-child", "child", &spec).to_string()
}

/// What the warnings of an Application say.
fn warnings(app: &Value) -> Vec<String> {
    let conditions = app["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let warnings = conditions.into_iter().filter(|condition| condition["type"] == "UnknownFieldWarning");
    warnings.map(|condition| condition["message"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_misspelt_field_of_a_child_is_told_and_never_healed() -> anyhow::Result<()> {
    let scene = Scene::new("unknown").await?;
    scene.repository.write("child/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/child.yaml", &child(&scene, "infoo"))?;
    let commit = scene.repository.publish("Add a child").await?;
    scene.create("unknown", "app", automated()).await?;
    let app = scene.synced("unknown", &commit).await?;
    let told = warnings(&app);
    ensure!(told.len() == 1, "{}", app["status"]);
    for word in ["argoproj.io/Application/argocd/unknown-child", "spec.infoo"] {
        ensure!(told[0].contains(word), "{word} is not in: {}", told[0]);
    }
    let name = application("unknown-child");
    ensure!(scene.expect(&name).await?["spec"]["infoo"].is_null(), "the cluster knows it after all");

    // The child is judged again, and again it is not the child's fault.
    scene.patch(&name, json!({"metadata": {"labels": {"seen": "yes"}}})).await?;
    let again = scene.refresh("unknown", "normal").await?;
    ensure!(again["status"]["sync"]["status"] == "Synced", "{}", again["status"]);
    ensure!(again["status"]["operationState"] == app["status"]["operationState"], "{}", again["status"]);
    ensure!(again["status"]["conditions"] == app["status"]["conditions"], "{}", again["status"]);

    scene.repository.write("app/child.yaml", &child(&scene, "info"))?;
    let commit = scene.repository.publish("Spell it right").await?;
    let app = scene.synced("unknown", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]);
    ensure!(scene.expect(&name).await?["spec"]["info"][0]["value"] == "b", "it is not there");
    Ok(())
}

#[tokio::test]
async fn the_rest_of_the_object_is_applied_and_kept() -> anyhow::Result<()> {
    let scene = Scene::new("unknown-rest").await?;
    let misspelt = format!("{}dataa:\n  a: b\n", manifest("settings", "1"));
    scene.repository.write("app/settings.yaml", &misspelt)?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("unknown-rest", "app", automated()).await?;
    let app = scene.synced("unknown-rest", &commit).await?;
    ensure!(warnings(&app).iter().any(|told| told.contains("dataa")), "{}", app["status"]);
    let path = config_map("unknown-rest", "settings");
    scene.patch(&path, json!({"data": {"value": "edited"}})).await?;
    scene.wait(&path, "is as in Git", |object| object["data"]["value"] == "1").await?;
    let app = scene.synced("unknown-rest", &commit).await?;
    ensure!(warnings(&app).len() == 1, "{}", app["status"]);
    Ok(())
}

/// A definition of robots with these fields, beside a robot with others.
fn robots(scene: &Scene<'_>, known: &[&str], wanted: &Value) -> anyhow::Result<()> {
    let fields = known.iter().map(|name| ((*name).to_owned(), json!({"type": "string"})));
    let fields: serde_json::Map<String, Value> = fields.collect();
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "robots.unknown.example.com"},
        "spec": {
            "group": "unknown.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Robot", "plural": "robots"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let metadata = json!({"name": "marvin"});
    let robot = json!({"apiVersion": "unknown.example.com/v1", "kind": "Robot", "metadata": metadata, "spec": wanted});
    scene.repository.write("app/definition.yaml", &definition.to_string())?;
    scene.repository.write("app/robot.yaml", &robot.to_string())
}

#[tokio::test]
async fn a_field_that_a_definition_brings_is_applied() -> anyhow::Result<()> {
    let scene = Scene::new("unknown-definition").await?;
    robots(&scene, &["name"], &json!({"name": "Marvin", "mood": "low"}))?;
    let commit = scene.repository.publish("Add a robot").await?;
    scene.create("unknown-definition", "app", automated()).await?;
    let app = scene.synced("unknown-definition", &commit).await?;
    ensure!(warnings(&app).iter().any(|told| told.contains("spec.mood")), "{}", app["status"]);

    robots(&scene, &["name", "mood"], &json!({"name": "Marvin", "mood": "low"}))?;
    scene.repository.publish("Let robots have moods").await?;
    let path = "/apis/unknown.example.com/v1/namespaces/unknown-definition/robots/marvin";
    scene.wait(path, "has a mood", |robot| robot["spec"]["mood"] == "low").await?;
    let untold = |app: &Value| app["status"]["conditions"].is_null();
    scene.wait(&application("unknown-definition"), "tells of nothing", untold).await?;

    // A definition and what needs it, in one commit.
    robots(&scene, &["name", "mood", "brain"], &json!({"name": "Marvin", "brain": "big"}))?;
    let commit = scene.repository.publish("Let robots have brains").await?;
    let app = scene.synced("unknown-definition", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]);
    ensure!(scene.expect(path).await?["spec"]["brain"] == "big", "it has no brain");
    Ok(())
}

#[tokio::test]
async fn a_restart_neither_loses_the_warning_nor_writes() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "unknown-restart").await?;
    let probe = Scene::on(&stack, "unknown-probe").await?;
    let misspelt = format!("{}dataa:\n  a: b\n", manifest("settings", "1"));
    scene.repository.write("app/settings.yaml", &misspelt)?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("unknown-restart", "app", automated()).await?;
    let before = scene.synced("unknown-restart", &commit).await?;
    ensure!(warnings(&before).len() == 1, "{}", before["status"]);
    stack.process("applier")?.restart().await?;
    // Another Application that gets through shows that it is at work again.
    probe.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = probe.repository.publish("Add a probe").await?;
    probe.create("unknown-probe", "app", automated()).await?;
    probe.synced("unknown-probe", &commit).await?;
    let after = scene.expect(&application("unknown-restart")).await?;
    ensure!(
        before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"],
        "{}",
        after["status"]
    );
    stack.stop().await
}
