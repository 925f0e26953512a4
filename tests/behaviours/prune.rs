//! Prune: what is no longer in Git goes, where pruning is allowed.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, annotated, application, automated, config_map, deployment, manifest};

#[tokio::test]
async fn a_removed_manifest_takes_its_object_along() -> anyhow::Result<()> {
    let scene = Scene::new("prune").await?;
    scene.repository.write("app/stays.yaml", &manifest("stays", "1"))?;
    scene.repository.write("app/goes.yaml", &manifest("goes", "1"))?;
    let first = scene.repository.publish("Add two").await?;
    scene.create("prune", "app", automated()).await?;
    scene.synced("prune", &first).await?;
    scene.repository.remove("app/goes.yaml")?;
    let second = scene.repository.publish("Remove one").await?;
    let app = scene.synced("prune", &second).await?;
    scene.gone(&config_map("prune", "goes")).await?;
    scene.expect(&config_map("prune", "stays")).await?;
    let results = &app["status"]["operationState"]["syncResult"]["resources"];
    ensure!(results[0]["name"] == "goes" && results[0]["status"] == "Pruned", "{results}");
    ensure!(results[0]["message"] == "pruned", "{results}");
    Ok(())
}

#[tokio::test]
async fn without_prune_the_object_stays_and_is_told_of() -> anyhow::Result<()> {
    let scene = Scene::new("prune-off").await?;
    scene.repository.write("app/stays.yaml", &manifest("stays", "1"))?;
    scene.repository.write("app/goes.yaml", &manifest("goes", "1"))?;
    let first = scene.repository.publish("Add two").await?;
    scene.create("prune-off", "app", json!({"syncPolicy": {"automated": {}}})).await?;
    scene.synced("prune-off", &first).await?;
    scene.repository.remove("app/goes.yaml")?;
    scene.repository.write("app/stays.yaml", &manifest("stays", "2"))?;
    let second = scene.repository.publish("Remove one").await?;
    let app = scene
        .wait(&application("prune-off"), "has synced the commit", |app| {
            let state = &app["status"]["operationState"];
            state["syncResult"]["revision"] == second && state["phase"] == "Succeeded"
        })
        .await?;
    let status = &app["status"];
    ensure!(status["sync"]["status"] == "OutOfSync", "{status}");
    let extra = &status["resources"][0];
    ensure!(extra["name"] == "goes" && extra["requiresPruning"] == true, "{extra}");
    ensure!(extra["status"] == "OutOfSync" && extra["version"] == "v1", "{extra}");
    let results = &status["operationState"]["syncResult"]["resources"];
    ensure!(results[0]["version"] == "v1", "{results}");
    ensure!(results[0]["status"] == "PruneSkipped", "{results}");
    ensure!(results[0]["message"] == "ignored (requires pruning)", "{results}");
    scene.expect(&config_map("prune-off", "goes")).await?;
    Ok(())
}

#[tokio::test]
async fn an_object_that_forbids_it_is_not_pruned() -> anyhow::Result<()> {
    let scene = Scene::new("prune-kept").await?;
    let kept = manifest("kept", "1").replace(
        "  name: kept\n",
        "  name: kept\n  annotations:\n    argocd.argoproj.io/sync-options: Prune=false\n",
    );
    scene.repository.write("app/kept.yaml", &kept)?;
    scene.repository.write("app/other.yaml", &manifest("other", "1"))?;
    let first = scene.repository.publish("Add two").await?;
    scene.create("prune-kept", "app", automated()).await?;
    scene.synced("prune-kept", &first).await?;
    scene.repository.remove("app/kept.yaml")?;
    let second = scene.repository.publish("Remove the one that is to be kept").await?;
    let name = application("prune-kept");
    scene
        .wait(&name, "compares with the commit", |app| {
            let status = &app["status"];
            status["sync"]["revision"] == second && status["operationState"]["phase"] != "Running"
        })
        .await?;
    let before = scene.refresh("prune-kept", "normal").await?;
    scene.expect(&config_map("prune-kept", "kept")).await?;
    // Nor is it tried again and again.
    scene.repository.write("elsewhere/settings.yaml", &manifest("settings", "1"))?;
    let third = scene.repository.publish("Change something else").await?;
    let moved = |app: &Value| app["status"]["sync"]["revision"] == third;
    scene.wait(&name, "compares with the next commit", moved).await?;
    let after = scene.refresh("prune-kept", "normal").await?;
    let (before, after) = (&before["status"]["operationState"], &after["status"]["operationState"]);
    ensure!(before == after, "{before} and then {after}");
    Ok(())
}

#[tokio::test]
async fn an_object_that_asks_for_confirmation_waits_for_it() -> anyhow::Result<()> {
    let scene = Scene::new("prune-confirm").await?;
    let asks = manifest("asks", "1").replace(
        "  name: asks\n",
        "  name: asks\n  annotations:\n    argocd.argoproj.io/sync-options: Prune=confirm\n",
    );
    scene.repository.write("app/asks.yaml", &asks)?;
    scene.repository.write("app/goes.yaml", &manifest("goes", "1"))?;
    scene.repository.write("app/stays.yaml", &manifest("stays", "1"))?;
    let first = scene.repository.publish("Add three").await?;
    scene.create("prune-confirm", "app", automated()).await?;
    scene.synced("prune-confirm", &first).await?;
    let name = application("prune-confirm");
    // Given to something else, long ago.
    let approval = json!({"argocd.argoproj.io/deletion-approved": "2020-01-01T00:00:00Z"});
    scene.patch(&name, json!({"metadata": {"annotations": approval}})).await?;
    scene.repository.remove("app/asks.yaml")?;
    scene.repository.remove("app/goes.yaml")?;
    let second = scene.repository.publish("Remove two").await?;
    let waits = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Running" && state["message"].to_string().contains("asks")
    };
    scene.wait(&name, "waits for a confirmation", waits).await?;
    scene.gone(&config_map("prune-confirm", "goes")).await?;
    let asks = scene.expect(&config_map("prune-confirm", "asks")).await?;
    ensure!(asks["metadata"]["deletionTimestamp"].is_null(), "{asks}");
    scene.approve("prune-confirm").await?;
    scene.gone(&config_map("prune-confirm", "asks")).await?;
    scene.synced("prune-confirm", &second).await?;
    Ok(())
}

#[tokio::test]
async fn objects_that_lose_their_namespace_are_not_pruned() -> anyhow::Result<()> {
    let scene = Scene::new("prune-homeless").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("prune-homeless", "app", automated()).await?;
    scene.synced("prune-homeless", &first).await?;
    let name = application("prune-homeless");
    scene.patch(&name, json!({"spec": {"destination": {"namespace": null}}})).await?;
    let says = |app: &Value| app["status"]["conditions"].to_string().contains("has no namespace");
    scene.wait(&name, "says what is missing", says).await?;
    scene.refresh("prune-homeless", "normal").await?;
    let settings = scene.expect(&config_map("prune-homeless", "settings")).await?;
    ensure!(settings["metadata"]["deletionTimestamp"].is_null(), "{settings}");
    Ok(())
}

#[tokio::test]
async fn an_empty_folder_does_not_wipe_an_application() -> anyhow::Result<()> {
    let scene = Scene::new("prune-all").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("prune-all", "app", automated()).await?;
    scene.synced("prune-all", &first).await?;
    scene.repository.remove("app/settings.yaml")?;
    scene.repository.write("app/README.md", "Nothing here.\n")?;
    scene.repository.publish("Remove all").await?;
    let app = scene
        .wait(&application("prune-all"), "says why it does not", |app| {
            app["status"]["conditions"][0]["type"] == "SyncError"
        })
        .await?;
    let message = app["status"]["conditions"][0]["message"].to_string();
    ensure!(message.contains("auto-sync will wipe out all resources"), "{message}");
    scene.expect(&config_map("prune-all", "settings")).await?;
    let allow = json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}});
    scene.patch(&application("prune-all"), allow).await?;
    scene.gone(&config_map("prune-all", "settings")).await
}

#[tokio::test]
async fn what_asks_for_it_is_pruned_when_all_else_is_healthy() -> anyhow::Result<()> {
    let scene = Scene::new("prune-last").await?;
    let last = annotated(&manifest("last", "1"), &[("argocd.argoproj.io/sync-options", "PruneLast=true")]);
    scene.repository.write("app/last.yaml", &last)?;
    scene.repository.write("app/first.yaml", &manifest("first", "1"))?;
    let first = scene.repository.publish("Add two").await?;
    scene.create("prune-last", "app", automated()).await?;
    scene.synced("prune-last", &first).await?;
    scene.repository.remove("app/last.yaml")?;
    scene.repository.remove("app/first.yaml")?;
    scene.repository.write("app/server.yaml", &deployment("server", Some("hangs")))?;
    let second = scene.repository.publish("Put a server in their place").await?;
    let waits = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Running"
            && state["message"] == "waiting for healthy state of apps/Deployment/server"
    };
    scene.wait(&application("prune-last"), "waits for the server", waits).await?;
    scene.gone(&config_map("prune-last", "first")).await?;
    let last = scene.expect(&config_map("prune-last", "last")).await?;
    ensure!(last["metadata"]["deletionTimestamp"].is_null(), "it was not the last");
    scene.let_play("prune-last").await?;
    scene.gone(&config_map("prune-last", "last")).await?;
    scene.synced("prune-last", &second).await?;
    Ok(())
}
