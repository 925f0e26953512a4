//! Hooks of a deletion: before an Application's objects go, and after; and objects go wave by wave.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, hook, job, manifest};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

#[tokio::test]
async fn an_application_goes_between_its_hooks() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-delete").await?;
    scene.repository.write("app/farewell.yaml", &job("farewell", hook("PreDelete"), Some("hangs")))?;
    let after = json!({"argocd.argoproj.io/hook": "PostDelete", "argocd.argoproj.io/hook-delete-policy": "HookSucceeded"});
    scene.repository.write("app/after.yaml", &job("after", after, Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
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
    ensure!(scene.get(&job_path("farewell")).await?.is_none(), "a hook of the deletion ran in the sync");

    scene.delete(&name).await?;
    let waits =
        |hook: &'static str| move |app: &Value| app["status"]["conditions"].to_string().contains(hook);
    scene
        .wait(&name, "waits for the first hook", waits("waiting for completion of hook batch/Job/farewell"))
        .await?;
    scene.expect(&config_map("hooks-delete", "settings")).await?;
    scene.let_play("hooks-delete").await?;
    scene
        .wait(&name, "waits for the last hook", waits("waiting for completion of hook batch/Job/after"))
        .await?;
    ensure!(
        scene.get(&config_map("hooks-delete", "settings")).await?.is_none(),
        "the last hook did not wait"
    );
    scene.let_play("hooks-delete").await?;
    scene.gone(&name).await?;
    scene.gone(&job_path("after")).await
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
    scene.patch(&name, json!({"metadata": {"finalizers": null}})).await?;
    scene.gone(&name).await?;
    scene.expect(&config_map("hooks-delete-fail", "settings")).await?;
    Ok(())
}

fn job_path(name: &str) -> String {
    format!("/apis/batch/v1/namespaces/hooks-delete/jobs/{name}")
}
