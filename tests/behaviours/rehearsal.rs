//! All or nothing: an object that is wrong in itself is noticed before anything is changed. What only stands in the way
//! now, or comes with the same commit, is not.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, hook, job, manifest};

const BROKEN: &str =
    "apiVersion: v1\nkind: Service\nmetadata:\n  name: broken\nspec:\n  ports:\n  - port: 99999\n";

fn state(app: &Value) -> &Value {
    &app["status"]["operationState"]
}

fn without_retry() -> Value {
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    spec
}

#[tokio::test]
async fn one_invalid_object_among_others_changes_nothing() -> anyhow::Result<()> {
    let scene = Scene::new("rehearsal").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/old.yaml", &manifest("old", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("rehearsal", "app", without_retry()).await?;
    scene.synced("rehearsal", &first).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    scene.repository.write("app/new.yaml", &manifest("new", "2"))?;
    scene.repository.write("app/broken.yaml", BROKEN)?;
    scene.repository.write("app/migrate.yaml", &job("migrate", hook("PreSync"), None))?;
    scene.repository.write("app/alarm.yaml", &job("alarm", hook("SyncFail"), None))?;
    scene.repository.remove("app/old.yaml")?;
    scene.repository.publish("Change everything, one thing wrongly").await?;
    let name = application("rehearsal");
    let app = scene.wait(&name, "has failed", |app| state(app)["phase"] == "Failed").await?;
    let message = state(&app)["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("one or more objects failed to apply (dry run)"), "{message}");
    ensure!(message.contains("broken") && message.contains("99999"), "{message}");
    let results = &state(&app)["syncResult"]["resources"];
    ensure!(results.as_array().map(Vec::len) == Some(1), "{results}");
    ensure!(results[0]["name"] == "broken" && results[0]["status"] == "SyncFailed", "{results}");
    ensure!(scene.expect(&config_map("rehearsal", "settings")).await?["data"]["value"] == "1");
    scene.expect(&config_map("rehearsal", "old")).await?;
    ensure!(scene.get(&config_map("rehearsal", "new")).await?.is_none(), "it was applied");
    let jobs = scene.expect("/apis/batch/v1/namespaces/rehearsal/jobs").await?;
    ensure!(jobs["items"] == json!([]), "hooks ran: {}", jobs["items"]);
    scene
        .wait(&name, "tells why", |app| {
            let condition = &app["status"]["conditions"][0];
            condition["type"] == "SyncError" && condition["message"].to_string().contains("99999")
        })
        .await?;

    scene.repository.write("app/broken.yaml", &BROKEN.replace("99999", "80"))?;
    let mended = scene.repository.publish("Mend it").await?;
    scene.synced("rehearsal", &mended).await?;
    ensure!(scene.expect(&config_map("rehearsal", "settings")).await?["data"]["value"] == "2");
    scene.gone(&config_map("rehearsal", "old")).await
}

#[tokio::test]
async fn a_new_application_is_tried_as_a_whole_too() -> anyhow::Result<()> {
    let scene = Scene::new("rehearsal-new").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let untyped = manifest("untyped", "1").replace("\"1\"", "1");
    scene.repository.write("app/untyped.yaml", &untyped)?;
    scene.repository.publish("Add a number where a text belongs").await?;
    scene.create("rehearsal-new", "app", without_retry()).await?;
    let name = application("rehearsal-new");
    let app = scene.wait(&name, "has failed", |app| state(app)["phase"] == "Failed").await?;
    let message = state(&app)["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("one or more objects failed to apply (dry run)"), "{message}");
    ensure!(scene.get(&config_map("rehearsal-new", "settings")).await?.is_none(), "it was applied");
    Ok(())
}

#[tokio::test]
async fn what_only_the_live_object_stands_against_is_left_to_its_turn() -> anyhow::Result<()> {
    let scene = Scene::new("rehearsal-live").await?;
    let fixed = |value: &str| {
        let annotations = "metadata:\n  annotations:\n    argocd.argoproj.io/sync-options: Force=true\n";
        format!("{}immutable: true\n", manifest("fixed", value).replacen("metadata:\n", annotations, 1))
    };
    scene.repository.write("app/fixed.yaml", &fixed("1"))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("rehearsal-live", "app", without_retry()).await?;
    scene.synced("rehearsal-live", &first).await?;
    scene.repository.write("app/fixed.yaml", &fixed("2"))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change both").await?;
    scene.synced("rehearsal-live", &second).await?;
    ensure!(scene.expect(&config_map("rehearsal-live", "fixed")).await?["data"]["value"] == "2");
    Ok(())
}

#[tokio::test]
async fn what_the_same_commit_brings_is_waited_for() -> anyhow::Result<()> {
    let scene = Scene::new("rehearsal-brought").await?;
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: rehearsal-brought-too\n";
    scene.repository.write("app/namespace.yaml", namespace)?;
    let there = "metadata:\n  namespace: rehearsal-brought-too\n";
    scene.repository.write("app/there.yaml", &manifest("there", "1").replacen("metadata:\n", there, 1))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings in two namespaces").await?;
    scene.create("rehearsal-brought", "app", without_retry()).await?;
    scene.synced("rehearsal-brought", &commit).await?;
    scene.expect(&config_map("rehearsal-brought-too", "there")).await?;
    Ok(())
}
