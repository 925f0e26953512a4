//! Actions: what can be done to an object by a word, with the rights of whoever asks; and Git keeps its say.

use anyhow::ensure;
use ithaca_tests::Stack;
use serde_json::Value;

use crate::scene::{Scene, automated, config_map, deployment, manifest};

const CONFIG_MAPS: &str = "
discovery.lua: |
  return {stamp = {}, copy = {disabled = obj.data.value ~= '1'}}
definitions:
- name: stamp
  action.lua: |
    obj.metadata.labels = {stamped = 'yes'}
    return obj
- name: copy
  action.lua: |
    local metadata = {name = obj.metadata.name .. '-copy', namespace = obj.metadata.namespace}
    return {{operation = 'create', resource = {apiVersion = 'v1', kind = 'ConfigMap', metadata = metadata, data = obj.data}}}
";

#[tokio::test]
async fn an_action_changes_the_one_object_that_is_meant() -> anyhow::Result<()> {
    // A stack of its own: actions are for the whole installation.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "actions").await?;
    scene.settings(&[("resource.customizations.actions.ConfigMap", CONFIG_MAPS)]).await?;
    scene.repository.write("app/web.yaml", &deployment("web", None))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/others.yaml", &manifest("others", "2"))?;
    let commit = scene.repository.publish("Add web").await?;
    scene.create("actions", "app", automated()).await?;
    scene.synced("actions", &commit).await?;

    let listed = done(&scene, &["actions", "actions"]).await?;
    for (object, action) in [("Deployment", "restart"), ("settings", "stamp"), ("settings", "copy")] {
        let offers = |line: &str| line.contains(object) && line.contains(action) && !line.contains("not now");
        ensure!(listed.lines().any(offers), "{action} of {object} is not in\n{listed}");
    }
    done(&scene, &["action", "actions", "restart"]).await?;
    let web = scene.expect("/apis/apps/v1/namespaces/actions/deployments/web").await?;
    let restarted = &web["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    ensure!(restarted.is_string(), "{web}");
    done(&scene, &["action", "actions", "copy", "--object", "settings"]).await?;
    let copy = scene.expect(&config_map("actions", "settings-copy")).await?;
    ensure!(copy["data"]["value"] == "1", "{copy}");
    done(&scene, &["action", "actions", "stamp", "--object", "settings"]).await?;
    let stamped = scene.expect(&config_map("actions", "settings")).await?;
    ensure!(stamped["metadata"]["labels"]["stamped"] == "yes", "{stamped}");
    // What Git does not speak of is no drift.
    let app: Value = scene.refresh("actions", "normal").await?;
    ensure!(app["status"]["sync"]["status"] == "Synced", "{}", app["status"]["sync"]);

    for (arguments, word) in [
        (&["action", "actions", "stamp"][..], "2 objects have action stamp"),
        (&["action", "actions", "copy", "--object", "others"], "cannot copy now"),
        (&["action", "actions", "explode"], "shows those that there are"),
    ] {
        let refused = scene.ithaca(&[&["app"], arguments].concat()).await?;
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(!refused.status.success() && said.contains(word), "{arguments:?}: {said}");
    }
    stack.stop().await
}

/// What the command says once it is done.
async fn done(scene: &Scene<'_>, arguments: &[&str]) -> anyhow::Result<String> {
    let output = scene.ithaca(&[&["app"], arguments].concat()).await?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
