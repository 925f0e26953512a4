//! Respecting ignored differences: a sync for another reason overwrites what does not count, unless
//! `RespectIgnoreDifferences=true` asks it not to.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, automated, config_map};

fn settings(value: &str, other: &str) -> String {
    let value = if value.is_empty() { String::new() } else { format!("  value: {value:?}\n") };
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n{value}  other: {other:?}\n"
    )
}

fn spec(options: &[&str]) -> Value {
    let mut spec = automated();
    spec["syncPolicy"]["syncOptions"] = json!(options);
    spec["ignoreDifferences"] = json!([{"group": "", "kind": "ConfigMap", "jsonPointers": ["/data/value"]}]);
    spec
}

#[tokio::test]
async fn what_does_not_count_stays_as_it_is_where_that_is_asked_for() -> anyhow::Result<()> {
    let scene = Scene::new("respect").await?;
    scene.repository.write("app/settings.yaml", &settings("1", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("respect", "app", spec(&["CreateNamespace=true", "RespectIgnoreDifferences=true"])).await?;
    scene.synced("respect", &commit).await?;
    let path = config_map("respect", "settings");
    let data = scene.expect(&path).await?["data"].clone();
    ensure!(data == json!({"value": "1", "other": "1"}), "a new object is not as in Git: {data}");

    // Ours to begin with: it has to be said again, or it would be taken away.
    scene.repository.write("app/settings.yaml", &settings("2", "2"))?;
    let commit = scene.repository.publish("Change both").await?;
    scene.synced("respect", &commit).await?;
    let data = scene.expect(&path).await?["data"].clone();
    ensure!(data == json!({"value": "1", "other": "2"}), "{data}");
    scene.repository.write("app/settings.yaml", &settings("", "3"))?;
    let commit = scene.repository.publish("Remove the value").await?;
    scene.synced("respect", &commit).await?;
    let data = scene.expect(&path).await?["data"].clone();
    ensure!(data == json!({"value": "1", "other": "3"}), "{data}");

    // Somebody else's from now on.
    scene.patch(&path, json!({"data": {"value": "edited"}})).await?;
    scene.repository.write("app/settings.yaml", &settings("4", "4"))?;
    let commit = scene.repository.publish("Change both again").await?;
    scene.synced("respect", &commit).await?;
    let object = scene.expect(&path).await?;
    ensure!(object["data"] == json!({"value": "edited", "other": "4"}), "{object}");
    Ok(())
}

#[tokio::test]
async fn what_does_not_count_is_applied_with_the_rest_otherwise() -> anyhow::Result<()> {
    let scene = Scene::new("respect-not").await?;
    scene.repository.write("app/settings.yaml", &settings("1", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("respect-not", "app", spec(&["CreateNamespace=true"])).await?;
    scene.synced("respect-not", &commit).await?;
    let path = config_map("respect-not", "settings");
    scene.patch(&path, json!({"data": {"value": "edited"}})).await?;
    // No reason to sync.
    scene.repository.write("app/settings.yaml", &settings("2", "1"))?;
    let commit = scene.repository.publish("Change the value").await?;
    scene.synced("respect-not", &commit).await?;
    ensure!(
        scene.expect(&path).await?["data"]["value"] == "edited",
        "a difference that does not count was synced"
    );
    scene.repository.write("app/settings.yaml", &settings("2", "2"))?;
    let commit = scene.repository.publish("Change the other").await?;
    scene.synced("respect-not", &commit).await?;
    let data = scene.expect(&path).await?["data"].clone();
    ensure!(data == json!({"value": "2", "other": "2"}), "{data}");
    Ok(())
}
