//! Ignored differences: what `spec.ignoreDifferences` names makes nothing OutOfSync and is never put back. A rule that
//! cannot be followed is told of, and nothing is done as if it were not there.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, deployment, manifest};

/// `spec` with automated sync and self-heal, and these rules.
fn ignoring(rules: Value) -> Value {
    let mut spec = automated();
    spec["ignoreDifferences"] = rules;
    spec
}

/// Waits until nothing is left to do after a change, and checks that it led to nothing.
async fn nothing_came_of_it(scene: &Scene<'_>, name: &str, before: &Value) -> anyhow::Result<()> {
    let after = scene.refresh(name, "normal").await?;
    let status = &after["status"];
    ensure!(status["sync"]["status"] == "Synced", "{status}");
    ensure!(status["operationState"] == before["status"]["operationState"], "{status}");
    ensure!(status["conditions"].is_null(), "{status}");
    Ok(())
}

#[tokio::test]
async fn an_autoscaler_may_scale_until_its_rule_is_removed() -> anyhow::Result<()> {
    let scene = Scene::new("ignored-pointer").await?;
    let scaled = deployment("player", None).replacen("\"spec\":{", "\"spec\":{\"replicas\":1,", 2);
    let scaled = scaled.replacen("{\"replicas\":1,\"containers\"", "{\"containers\"", 1);
    // The API server writes 1000m as 1: it is the dry run that has to decide.
    let requests = "\"resources\":{\"requests\":{\"cpu\":\"1000m\"}},\"image\"";
    let scaled = scaled.replacen("\"image\"", requests, 1);
    scene.repository.write("app/player.yaml", &scaled)?;
    let commit = scene.repository.publish("Add a player").await?;
    let mut spec =
        ignoring(json!([{"group": "apps", "kind": "Deploy*", "jsonPointers": ["/spec/replicas"]}]));
    spec["syncPolicy"]["automated"]["selfHeal"] = json!(false);
    scene.create("ignored-pointer", "app", spec).await?;
    let before = scene.synced("ignored-pointer", &commit).await?;
    let path = "/apis/apps/v1/namespaces/ignored-pointer/deployments/player";
    ensure!(
        scene.expect(path).await?["spec"]["replicas"] == 1,
        "Git's number does not count at the beginning"
    );
    scene.patch(&format!("{path}/scale"), json!({"spec": {"replicas": 3}})).await?;
    nothing_came_of_it(&scene, "ignored-pointer", &before).await?;
    ensure!(scene.expect(path).await?["spec"]["replicas"] == 3, "it was scaled back");

    // No commit, no change of the Deployment: the rule alone decides.
    scene.patch(&application("ignored-pointer"), json!({"spec": {"ignoreDifferences": null}})).await?;
    let differs = |app: &Value| app["status"]["sync"]["status"] == "OutOfSync";
    let app = scene.wait(&application("ignored-pointer"), "is OutOfSync", differs).await?;
    ensure!(app["status"]["sync"]["comparedTo"]["ignoreDifferences"].is_null(), "{}", app["status"]["sync"]);
    let rule = json!([{"group": "*", "kind": "*", "name": "player", "jsonPointers": ["/spec/replicas"]}]);
    scene.patch(&application("ignored-pointer"), json!({"spec": {"ignoreDifferences": rule}})).await?;
    scene.synced("ignored-pointer", &commit).await?;
    Ok(())
}

#[tokio::test]
async fn jq_expressions_and_managers_name_what_does_not_count() -> anyhow::Result<()> {
    let scene = Scene::new("ignored-others").await?;
    for name in ["by-jq", "by-manager", "by-nothing"] {
        scene.repository.write(&format!("app/{name}.yaml"), &manifest(name, "1"))?;
    }
    let commit = scene.repository.publish("Add settings").await?;
    let rules = json!([
        {"group": "", "kind": "ConfigMap", "name": "by-jq",
         "jqPathExpressions": [".data | to_entries", ".data[\"value\"] | select(test(\"^edit\"))"]},
        {"group": "", "kind": "ConfigMap", "name": "by-manager", "managedFieldsManagers": ["tester"]},
    ]);
    scene.create("ignored-others", "app", ignoring(rules)).await?;
    let before = scene.synced("ignored-others", &commit).await?;
    for name in ["by-jq", "by-manager"] {
        scene.patch(&config_map("ignored-others", name), json!({"data": {"value": "edited"}})).await?;
    }
    let app = scene.refresh("ignored-others", "normal").await?;
    ensure!(app["status"]["sync"]["status"] == "Synced", "{}", app["status"]);
    let by_manager = scene.expect(&config_map("ignored-others", "by-manager")).await?;
    ensure!(by_manager["data"]["value"] == "edited", "{by_manager}");
    ensure!(before["status"]["history"] == app["status"]["history"], "{}", app["status"]);

    let path = config_map("ignored-others", "by-nothing");
    scene.patch(&path, json!({"data": {"value": "edited"}})).await?;
    scene.wait(&path, "is as in Git", |object| object["data"]["value"] == "1").await?;
    Ok(())
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_is_told_and_nothing_is_undone() -> anyhow::Result<()> {
    let broken = json!([{"group": "", "kind": "ConfigMap", "jqPathExpressions": [".data["]}]);
    let words = ["spec.ignoreDifferences", "/ConfigMap", ".data["];
    cannot_be_followed("ignored-unreadable", broken, "InvalidSpecError", &words).await
}

#[tokio::test]
async fn an_expression_that_explodes_is_told_and_nothing_is_undone() -> anyhow::Result<()> {
    let endless =
        ".metadata | select(.. as $a | .. as $b | .. as $c | .. as $d | .. as $e | .. as $f | empty)";
    let broken = json!([{"group": "", "kind": "ConfigMap", "jqPathExpressions": [endless]}]);
    let words = ["too many steps", "/ConfigMap/ignored-endless/settings", "ignoreDifferences"];
    cannot_be_followed("ignored-endless", broken, "ComparisonError", &words).await
}

/// An Application whose rules stop being of use, beside one that goes on.
async fn cannot_be_followed(name: &str, broken: Value, type_: &str, words: &[&str]) -> anyhow::Result<()> {
    let scene = Scene::new(name).await?;
    let neighbour = format!("{name}-neighbour");
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let good = json!([{"group": "", "kind": "ConfigMap", "jsonPointers": ["/data/value"]}]);
    scene.create(name, "app", ignoring(good.clone())).await?;
    scene.create(&neighbour, "app", automated()).await?;
    scene.synced(name, &commit).await?;
    let path = application(name);
    scene.patch(&path, json!({"spec": {"ignoreDifferences": broken}})).await?;
    let told = |app: &Value| {
        let conditions = app["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == type_)
    };
    let app = scene.wait(&path, &format!("has the condition {type_}"), |app| told(app).is_some()).await?;
    let message = told(&app).unwrap_or_default()["message"].to_string().replace("\\\"", "\"");
    let silent: Vec<_> = words.iter().filter(|word| !message.contains(**word)).collect();
    ensure!(silent.is_empty(), "{silent:?} is not in: {message}");
    ensure!(app["status"]["sync"]["status"] == "Unknown", "{}", app["status"]);

    let settings = config_map(name, "settings");
    scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let commit = scene.repository.publish("Change settings").await?;
    scene.synced(&neighbour, &commit).await?;
    scene.refresh(name, "normal").await?;
    ensure!(scene.expect(&settings).await?["data"]["value"] == "edited", "what the rule protects was undone");

    scene.patch(&path, json!({"spec": {"ignoreDifferences": good}})).await?;
    let app = scene.synced(name, &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]);
    Ok(())
}
