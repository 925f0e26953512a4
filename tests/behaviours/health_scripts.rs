//! Health by scripts of the installation's: they decide, a change of one needs no commit, and one that never ends is the
//! trouble of its own objects alone.

use anyhow::ensure;
use ithaca_tests::Stack;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

/// As most people have it: an Application that contains others is as well as they are.
const BY_APPLICATION: &str = r#"
hs = {}
hs.status = "Progressing"
hs.message = ""
if obj.status ~= nil then
  if obj.status.health ~= nil then
    hs.status = obj.status.health.status
    if obj.status.health.message ~= nil then
      hs.message = obj.status.health.message
    end
  end
end
return hs
"#;

/// One key for each thing.
const CONFIG_MAPS: &str = "resource.customizations.health.ConfigMap";
const APPLICATIONS: &str = "resource.customizations.health.argoproj.io_Application";
/// One document for all.
const DOCUMENT: &str = "resource.customizations";

#[tokio::test]
async fn a_script_decides_and_one_without_end_is_its_own_trouble() -> anyhow::Result<()> {
    // A stack of its own: scripts are for the whole installation.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "health-scripts").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "good"))?;
    let account = |name: &str| format!("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n");
    for number in 0..10 {
        scene
            .repository
            .write(&format!("loop/account-{number}.yaml"), &account(&format!("robot-{number}")))?;
    }
    let commit = scene.repository.publish("Add settings and robots").await?;
    scene.create("scripts", "app", automated()).await?;
    scene.create("scripts-loop", "loop", automated()).await?;
    scene.synced("scripts", &commit).await?;
    scene.synced("scripts-loop", &commit).await?;

    a_script_decides_and_its_change_needs_no_commit(&scene).await?;
    one_without_end_is_its_own_trouble(&scene).await?;
    an_application_is_as_well_as_those_in_it(&scene).await?;
    without_scripts_all_is_as_before(&scene).await?;
    stack.stop().await
}

async fn a_script_decides_and_its_change_needs_no_commit(scene: &Scene<'_>) -> anyhow::Result<()> {
    let script = |good: &str| {
        format!(
            "if obj.data.value == '{good}' then return {{status = 'Healthy'}} end\n\
                 return {{status = 'Degraded', message = 'it is ' .. obj.data.value}}"
        )
    };
    scene.settings(&[(CONFIG_MAPS, &script("good"))]).await?;
    object_health(scene, "scripts", "Healthy").await?;
    scene.settings(&[(CONFIG_MAPS, &script("better"))]).await?;
    let message = object_health(scene, "scripts", "Degraded").await?;
    ensure!(message == "it is good", "{message}");
    let data = json!({"data": {"value": "better"}});
    scene.patch(&config_map("scripts", "settings"), data).await?;
    // Drift is put back, and judged as it is then.
    scene
        .wait(&config_map("scripts", "settings"), "is as it was", |object| object["data"]["value"] == "good")
        .await?;
    health(scene, "scripts", "Degraded").await?;
    let document =
        "ConfigMap:\n  health.lua: |\n    return {status = \"Suspended\", message = \"by the document\"}\n";
    scene.settings(&[(DOCUMENT, document)]).await?;
    let message = object_health(scene, "scripts", "Suspended").await?;
    ensure!(message == "by the document", "{message}");
    Ok(())
}

async fn one_without_end_is_its_own_trouble(scene: &Scene<'_>) -> anyhow::Result<()> {
    let endless = "ServiceAccount:\n  health.lua: while true do end\n";
    scene.settings(&[(DOCUMENT, endless), ("resource.customizations.helth.Pod", "return {}")]).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "best"))?;
    let commit = scene.repository.publish("Do even better").await?;
    scene.synced("scripts", &commit).await?;
    let app = health(scene, "scripts-loop", "Unknown").await?;
    ensure!(app["status"]["sync"]["status"] == "Synced", "{}", app["status"]["sync"]);
    let message = object_health(scene, "scripts-loop", "Unknown").await?;
    for word in ["does it loop?", "ServiceAccount", "argocd-cm"] {
        ensure!(message.contains(word), "{word:?} is not in {message}");
    }
    let conditions = app["status"]["conditions"].to_string();
    for word in [
        "ComparisonError",
        "/ServiceAccount/scripts-loop/robot-",
        "resource.customizations, ServiceAccount, health.lua",
        "loop?",
    ] {
        ensure!(conditions.contains(word), "{word:?} is not in {conditions}");
    }
    // No script is for ConfigMaps any more.
    health(scene, "scripts", "Healthy").await?;
    Ok(())
}

async fn an_application_is_as_well_as_those_in_it(scene: &Scene<'_>) -> anyhow::Result<()> {
    let script = "return {status = obj.data.value, message = 'so it says'}";
    scene.settings(&[(CONFIG_MAPS, script), (APPLICATIONS, BY_APPLICATION)]).await?;
    scene.repository.write("child/settings.yaml", &manifest("settings", "Healthy"))?;
    for name in ["scripts-root", "scripts-child"] {
        let path = name.trim_start_matches("scripts-");
        let application = scene.application(name, path, &automated());
        scene.repository.write(&format!("root/{name}.yaml"), &application.to_string())?;
    }
    let commit = scene.repository.publish("Add a root that contains itself").await?;
    scene.create("scripts-root", "root", automated()).await?;
    scene.synced("scripts-root", &commit).await?;
    scene.synced("scripts-child", &commit).await?;
    health(scene, "scripts-root", "Healthy").await?;
    scene.repository.write("child/settings.yaml", &manifest("settings", "Degraded"))?;
    let commit = scene.repository.publish("Break the child").await?;
    scene.synced("scripts-child", &commit).await?;
    health(scene, "scripts-root", "Degraded").await?;
    Ok(())
}

async fn without_scripts_all_is_as_before(scene: &Scene<'_>) -> anyhow::Result<()> {
    scene.delete(&config_map("argocd", "argocd-cm")).await?;
    for name in ["scripts", "scripts-loop", "scripts-child", "scripts-root"] {
        let app = health(scene, name, "Healthy").await?;
        let conditions = &app["status"]["conditions"];
        ensure!(conditions.is_null() || conditions == &json!([]), "{name} still has {conditions}");
    }
    Ok(())
}

/// Waits until an Application's health is told by this word.
async fn health(scene: &Scene<'_>, name: &str, word: &'static str) -> anyhow::Result<Value> {
    let is = |app: &Value| app["status"]["health"]["status"] == word;
    scene.wait(&application(name), &format!("is {word}"), is).await
}

/// Waits until the health of an Application's first object, and so its own, is told by this word; and the sentence.
async fn object_health(scene: &Scene<'_>, name: &str, word: &'static str) -> anyhow::Result<String> {
    let path = application(name);
    let is = |app: &Value| app["status"]["resources"][0]["health"]["status"] == word;
    let app = scene.wait(&path, &format!("has an object that is {word}"), is).await?;
    ensure!(app["status"]["health"]["status"] == word, "{}", app["status"]["health"]);
    Ok(app["status"]["resources"][0]["health"]["message"].as_str().unwrap_or_default().to_owned())
}
