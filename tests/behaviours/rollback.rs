//! Rollback: `git revert`, or an operation for an entry of the history.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, hook, job, job_path, manifest, state};

#[tokio::test]
async fn a_revert_brings_the_cluster_back() -> anyhow::Result<()> {
    let scene = Scene::new("rollback").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/old.yaml", &manifest("old", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("rollback", "app", automated()).await?;
    scene.synced("rollback", &first).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    scene.repository.write("app/new.yaml", &manifest("new", "2"))?;
    scene.repository.remove("app/old.yaml")?;
    let second = scene.repository.publish("Change everything").await?;
    scene.synced("rollback", &second).await?;
    scene.gone(&config_map("rollback", "old")).await?;
    let third = scene.repository.revert().await?;
    scene.repository.push().await?;
    let app = scene.synced("rollback", &third).await?;
    ensure!(scene.expect(&config_map("rollback", "settings")).await?["data"]["value"] == "1");
    scene.expect(&config_map("rollback", "old")).await?;
    scene.gone(&config_map("rollback", "new")).await?;
    let history = app["status"]["history"].as_array().map(Vec::len);
    ensure!(history == Some(3), "{}", app["status"]["history"]);
    Ok(())
}

/// As Argo CD's own clients ask for it: the entry's revision and source, and no hooks.
#[tokio::test]
async fn an_entry_of_the_history_is_brought_back_with_its_source() -> anyhow::Result<()> {
    let scene = Scene::new("rollback-entry").await?;
    scene.repository.write("one/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("one/before.yaml", &job("before", hook("PreSync"), None))?;
    let first = scene.repository.publish("Add settings and a hook").await?;
    scene.create("rollback-entry", "one", json!({})).await?;
    let options = json!(["CreateNamespace=true"]);
    scene.operate("rollback-entry", json!({"sync": {"syncOptions": options}})).await?;
    scene.synced("rollback-entry", &first).await?;
    let ran = scene.expect(&job_path("rollback-entry", "before")).await?;

    scene.repository.write("one/settings.yaml", &manifest("settings", "changed"))?;
    scene.repository.write("two/settings.yaml", &manifest("settings", "2"))?;
    scene.repository.write("two/more.yaml", &manifest("more", "2"))?;
    let second = scene.repository.publish("Add another folder").await?;
    scene.patch(&application("rollback-entry"), json!({"spec": {"source": {"path": "two"}}})).await?;
    let app =
        scene.operate("rollback-entry", json!({"sync": {"prune": true, "syncOptions": options}})).await?;
    ensure!(state(&app)["syncResult"]["revision"] == second, "{}", state(&app));
    let settings = config_map("rollback-entry", "settings");
    ensure!(scene.expect(&settings).await?["data"]["value"] == "2");

    let entry = &app["status"]["history"][0];
    let sync = json!({
        "revision": entry["revision"], "source": entry["source"], "prune": true,
        "syncOptions": options, "syncStrategy": {"apply": {}},
    });
    let app = scene.operate("rollback-entry", json!({"sync": sync})).await?;
    ensure!(state(&app)["phase"] == "Succeeded", "{}", state(&app));
    ensure!(scene.expect(&settings).await?["data"]["value"] == "1");
    scene.gone(&config_map("rollback-entry", "more")).await?;
    let told = &app["status"]["history"][2];
    ensure!(told["revision"] == first && told["source"]["path"] == "one", "{told}");
    // The spec still has the say of what is compared.
    let compared = &app["status"]["sync"];
    ensure!(
        compared["status"] == "OutOfSync" && compared["comparedTo"]["source"]["path"] == "two",
        "{compared}"
    );

    // Nor do hooks run where the operation names objects.
    let some = json!([{"kind": "ConfigMap", "name": "settings"}]);
    let sync = json!({"revision": entry["revision"], "source": entry["source"], "resources": some});
    scene.operate("rollback-entry", json!({"sync": sync})).await?;
    let now = scene.expect(&job_path("rollback-entry", "before")).await?;
    ensure!(ran["metadata"]["uid"] == now["metadata"]["uid"], "the hook ran again");
    Ok(())
}
