//! Hooks of a deletion: before an Application's objects go, and after; and objects go wave by wave.

use anyhow::ensure;
use ithaca_tests::wait_until;
use serde_json::{Value, json};

use crate::scene::{
    DEADLINE, Scene, annotated, application, automated, config_map, hook, job, job_path, manifest,
};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats.deletion.example.com";

/// Objects of three waves, the last of which somebody else holds; and what is never deleted: a definition, what Helm is
/// told to keep, and the Application itself.
fn waves(scene: &Scene<'_>) -> anyhow::Result<()> {
    let wave = "argocd.argoproj.io/sync-wave";
    let held = manifest("top", "1").replacen(
        "metadata:\n",
        "metadata:\n  finalizers: [tests.example.com/hold]\n",
        1,
    );
    let repository = &scene.repository;
    repository.write("app/base.yaml", &annotated(&manifest("base", "1"), &[(wave, "-1")]))?;
    repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    repository.write("app/top.yaml", &annotated(&held, &[(wave, "1")]))?;
    repository
        .write("app/kept.yaml", &annotated(&manifest("kept", "1"), &[("helm.sh/resource-policy", "keep")]))?;
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.deletion.example.com"},
        "spec": {
            "group": "deletion.example.com",
            "names": {"kind": "Boat", "plural": "boats"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    });
    repository.write("app/definition.yaml", &definition.to_string())?;
    repository.write("app/itself.yaml", &scene.application("hooks-delete", "app", &automated()).to_string())
}

/// The objects that are there and are not being deleted.
async fn living(scene: &Scene<'_>) -> anyhow::Result<Vec<&'static str>> {
    let mut living = Vec::new();
    for name in ["base", "settings", "top", "kept"] {
        let object = scene.get(&config_map("hooks-delete", name)).await?;
        if object.is_some_and(|object| object["metadata"]["deletionTimestamp"].is_null()) {
            living.push(name);
        }
    }
    Ok(living)
}

#[tokio::test]
async fn an_application_goes_between_its_hooks() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-delete").await?;
    scene.repository.write("app/farewell.yaml", &job("farewell", hook("PreDelete"), Some("hangs")))?;
    let after = json!({"argocd.argoproj.io/hook": "PostDelete", "argocd.argoproj.io/hook-delete-policy": "HookSucceeded"});
    scene.repository.write("app/after.yaml", &job("after", after, Some("hangs")))?;
    waves(&scene)?;
    let commit = scene.repository.publish("Add settings and hooks").await?;
    scene.create("hooks-delete", "app", automated()).await?;
    let name = application("hooks-delete");
    scene.patch(&name, json!({"metadata": {"finalizers": [FINALIZER]}})).await?;
    scene.synced("hooks-delete", &commit).await?;
    scene
        .wait(&name, "is guarded", |app| {
            app["metadata"]["finalizers"].as_array().is_some_and(|all| all.len() == 5)
        })
        .await?;
    ensure!(
        scene.get(&job_path("hooks-delete", "farewell")).await?.is_none(),
        "a hook of the deletion ran in the sync"
    );

    scene.delete(&name).await?;
    let waits =
        |hook: &'static str| move |app: &Value| app["status"]["conditions"].to_string().contains(hook);
    scene
        .wait(&name, "waits for the first hook", waits("waiting for completion of hook batch/Job/farewell"))
        .await?;
    ensure!(
        living(&scene).await? == ["base", "settings", "top", "kept"],
        "the first hook was not waited for"
    );
    scene.let_play("hooks-delete").await?;
    let top = config_map("hooks-delete", "top");
    let goes = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
    scene.wait(&top, "is on its way out", goes).await?;
    ensure!(living(&scene).await? == ["base", "settings", "kept"], "{:?}", living(&scene).await?);
    scene.patch(&top, json!({"metadata": {"finalizers": null}})).await?;
    scene
        .wait(&name, "waits for the last hook", waits("waiting for completion of hook batch/Job/after"))
        .await?;
    ensure!(living(&scene).await? == ["kept"], "the last hook did not wait: {:?}", living(&scene).await?);
    ensure!(scene.expect(DEFINITION).await?["metadata"]["deletionTimestamp"].is_null(), "a definition goes");
    scene.let_play("hooks-delete").await?;
    scene.gone(&name).await?;
    scene.gone(&job_path("hooks-delete", "after")).await
}

#[tokio::test]
async fn a_hook_that_fails_holds_the_application_until_somebody_acts() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-delete-fail").await?;
    scene.repository.write("app/farewell.yaml", &job("farewell", hook("PreDelete"), Some("fails")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings and a hook").await?;
    scene.create("hooks-delete-fail", "app", automated()).await?;
    let name = application("hooks-delete-fail");
    scene.synced("hooks-delete-fail", &commit).await?;
    scene.wait(&name, "is guarded", |app| !app["metadata"]["finalizers"].is_null()).await?;
    scene.delete(&name).await?;
    let told = |app: &Value| {
        let conditions = app["status"]["conditions"].to_string();
        conditions.contains("DeletionError") && conditions.contains("a PreDelete hook failed")
    };
    scene.wait(&name, "tells of the hook", told).await?;
    let path = job_path("hooks-delete-fail", "farewell");
    let failed = scene.expect(&path).await?;
    scene.delete(&path).await?;
    wait_until("what somebody deleted is gone", DEADLINE, async || {
        let found = scene.get(&path).await?;
        let goes = found.is_none_or(|job| job["metadata"]["uid"] != failed["metadata"]["uid"]);
        ensure!(goes, "it is held");
        Ok(())
    })
    .await?;
    ensure!(scene.get(&name).await?.is_some(), "the Application did not wait");
    scene.patch(&name, json!({"metadata": {"finalizers": null}})).await?;
    scene.gone(&name).await?;
    scene.expect(&config_map("hooks-delete-fail", "settings")).await?;
    Ok(())
}
