//! Manual sync: an `operation` set on the Application is carried out as asked, and takes nothing from Git's say.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, annotated, application, automated, config_map, deployment, manifest, state};

#[tokio::test]
async fn an_operation_syncs_what_target_revision_says() -> anyhow::Result<()> {
    let scene = Scene::new("manual").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("manual", "app", json!({})).await?;
    let app = operate(&scene, "manual", json!({"syncOptions": ["CreateNamespace=true"]})).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Succeeded", "{state}");
    ensure!(state["operation"]["initiatedBy"]["username"] == "ada", "{state}");
    ensure!(state["syncResult"]["revision"] == commit, "{state}");
    ensure!(app["status"]["history"][0]["initiatedBy"]["username"] == "ada", "{}", app["status"]["history"]);
    scene.synced("manual", &commit).await?;
    scene.expect(&config_map("manual", "settings")).await?;
    Ok(())
}

#[tokio::test]
async fn an_older_commit_is_applied_while_the_branch_stays_what_counts() -> anyhow::Result<()> {
    let scene = Scene::new("manual-older").await?;
    let (first, second) = two_commits(&scene).await?;
    scene.create("manual-older", "app", json!({})).await?;
    operate(&scene, "manual-older", json!({"syncOptions": ["CreateNamespace=true"]})).await?;
    scene.synced("manual-older", &second).await?;
    let app = operate(&scene, "manual-older", json!({"revision": first, "prune": true})).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Succeeded" && state["syncResult"]["revision"] == first, "{state}");
    ensure!(scene.expect(&config_map("manual-older", "settings")).await?["data"]["value"] == "1");
    scene.gone(&config_map("manual-older", "new")).await?;
    let app = scene.refresh("manual-older", "normal").await?;
    let sync = &app["status"]["sync"];
    ensure!(sync["revision"] == second && sync["status"] == "OutOfSync", "{sync}");
    ensure!(app["status"]["history"][1]["revision"] == first, "{}", app["status"]["history"]);
    Ok(())
}

#[tokio::test]
async fn a_branch_is_asked_for_anew_by_each_operation() -> anyhow::Result<()> {
    let scene = Scene::new("manual-branch").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("manual-branch", "app", json!({})).await?;
    let namespace = json!(["CreateNamespace=true"]);
    let app = operate(&scene, "manual-branch", json!({"revision": "main", "syncOptions": namespace})).await?;
    let result = &app["status"]["operationState"]["syncResult"];
    ensure!(result["revision"] == first, "{result}");
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change settings").await?;
    let app = operate(&scene, "manual-branch", json!({"revision": "main", "prune": true})).await?;
    let result = &app["status"]["operationState"]["syncResult"];
    ensure!(result["revision"] == second, "{result}");
    ensure!(scene.expect(&config_map("manual-branch", "settings")).await?["data"]["value"] == "2");
    Ok(())
}

/// Whoever pushes and syncs means what was pushed, whether a webhook told of it or not.
#[tokio::test]
async fn an_operation_without_a_revision_means_the_newest_commit() -> anyhow::Result<()> {
    let scene = Scene::new("manual-newest").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("manual-newest", "app", json!({})).await?;
    operate(&scene, "manual-newest", json!({"syncOptions": ["CreateNamespace=true"]})).await?;
    scene.synced("manual-newest", &first).await?;
    for value in ["2", "3"] {
        scene.repository.write("app/settings.yaml", &manifest("settings", value))?;
        let commit = scene.repository.commit("Change settings").await?;
        scene.repository.push_silently().await?;
        let app = operate(&scene, "manual-newest", json!({"prune": true})).await?;
        let result = &app["status"]["operationState"]["syncResult"];
        ensure!(result["revision"] == commit, "{result}");
        scene.synced("manual-newest", &commit).await?;
        let settings = scene.expect(&config_map("manual-newest", "settings")).await?;
        ensure!(settings["data"]["value"] == value, "{}", settings["data"]);
    }
    Ok(())
}

#[tokio::test]
async fn only_an_operation_that_prunes_prunes() -> anyhow::Result<()> {
    let scene = Scene::new("manual-prune").await?;
    let (first, second) = two_commits(&scene).await?;
    scene.create("manual-prune", "app", json!({"source": {"targetRevision": "main"}})).await?;
    operate(&scene, "manual-prune", json!({"syncOptions": ["CreateNamespace=true"]})).await?;
    scene.synced("manual-prune", &second).await?;
    let new = config_map("manual-prune", "new");
    let app = operate(&scene, "manual-prune", json!({"revision": first})).await?;
    let results = &app["status"]["operationState"]["syncResult"]["resources"];
    ensure!(results[0]["name"] == "new" && results[0]["status"] == "PruneSkipped", "{results}");
    scene.expect(&new).await?;
    let app = operate(&scene, "manual-prune", json!({"revision": first, "prune": true})).await?;
    let results = &app["status"]["operationState"]["syncResult"]["resources"];
    ensure!(results[0]["name"] == "new" && results[0]["status"] == "Pruned", "{results}");
    scene.gone(&new).await
}

#[tokio::test]
async fn a_dry_run_changes_nothing() -> anyhow::Result<()> {
    let scene = Scene::new("manual-dry").await?;
    let (first, second) = two_commits(&scene).await?;
    scene.create("manual-dry", "app", json!({})).await?;
    operate(&scene, "manual-dry", json!({"syncOptions": ["CreateNamespace=true"]})).await?;
    let before = scene.synced("manual-dry", &second).await?;
    let dry = json!({"revision": first, "prune": true, "dryRun": true});
    let app = operate(&scene, "manual-dry", dry).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Succeeded", "{state}");
    let results = state["syncResult"]["resources"].as_array().into_iter().flatten();
    let messages: Vec<_> = results.map(|result| result["message"].to_string()).collect();
    ensure!(messages.iter().all(|message| message.contains("(dry run)")), "{messages:?}");
    ensure!(app["status"]["history"] == before["status"]["history"], "{}", app["status"]["history"]);
    ensure!(scene.expect(&config_map("manual-dry", "settings")).await?["data"]["value"] == "2");
    scene.expect(&config_map("manual-dry", "new")).await?;
    scene.synced("manual-dry", &second).await?;
    Ok(())
}

#[tokio::test]
async fn only_the_named_objects_are_synced() -> anyhow::Result<()> {
    let scene = Scene::new("manual-some").await?;
    let (_, second) = two_commits(&scene).await?;
    scene.create("manual-some", "app", json!({})).await?;
    let some = json!({
        "resources": [{"kind": "ConfigMap", "name": "new"}],
        "syncOptions": ["CreateNamespace=true"],
    });
    let app = operate(&scene, "manual-some", some).await?;
    let status = &app["status"];
    ensure!(status["operationState"]["phase"] == "Succeeded", "{status}");
    ensure!(status["history"].is_null(), "{status}");
    scene.expect(&config_map("manual-some", "new")).await?;
    ensure!(scene.get(&config_map("manual-some", "settings")).await?.is_none(), "all was synced");
    ensure!(status["sync"]["status"] == "OutOfSync" && status["sync"]["revision"] == second, "{status}");
    Ok(())
}

#[tokio::test]
async fn an_operation_set_as_argo_cds_own_clients_do_is_the_same() -> anyhow::Result<()> {
    let scene = Scene::new("manual-client").await?;
    let (first, second) = two_commits(&scene).await?;
    scene.create("manual-client", "app", automated()).await?;
    let before = scene.synced("manual-client", &second).await?;
    let path = application("manual-client");
    // In one write the operation is set and what is known of the last one is cleared.
    let sync = json!({"revision": first, "syncOptions": []});
    let patch = json!({"operation": {"sync": sync}, "status": {"operationState": null}});
    scene.patch(&path, patch).await?;
    // Automation takes the branch's word again as soon as it has ended.
    let ended = |app: &Value| app["status"]["history"][1]["revision"] == first && app["operation"].is_null();
    let app = scene.wait(&path, "has ended its operation", ended).await?;
    let started = &app["status"]["history"][1]["deployStartedAt"];
    let before = &before["status"]["operationState"]["startedAt"];
    ensure!(started.as_str() >= before.as_str(), "{started} is before {before}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_revision_ends_the_operation_and_nothing_else() -> anyhow::Result<()> {
    let scene = Scene::new("manual-unknown").await?;
    let (_, second) = two_commits(&scene).await?;
    scene.create("manual-unknown", "app", json!({})).await?;
    operate(&scene, "manual-unknown", json!({"syncOptions": ["CreateNamespace=true"]})).await?;
    scene.synced("manual-unknown", &second).await?;
    let app = operate(&scene, "manual-unknown", json!({"revision": "nowhere"})).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Error" || state["phase"] == "Failed", "{state}");
    ensure!(state["message"].to_string().contains("nowhere"), "{state}");
    let app = scene.synced("manual-unknown", &second).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}

#[tokio::test]
async fn a_source_of_the_operation_takes_the_place_of_the_specs() -> anyhow::Result<()> {
    let scene = Scene::new("manual-source").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "app"))?;
    scene.repository.write("other/settings.yaml", &manifest("settings", "other"))?;
    scene.repository.write("more/more.yaml", &manifest("more", "more"))?;
    let commit = scene.repository.publish("Add three folders").await?;
    scene.create("manual-source", "app", json!({})).await?;
    let source =
        |path: &str| json!({"repoURL": scene.repository.url, "path": path, "targetRevision": "HEAD"});
    let sync = json!({"source": source("other"), "syncOptions": ["CreateNamespace=true"]});
    let app = operate(&scene, "manual-source", sync).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Succeeded", "{state}");
    ensure!(state["syncResult"]["source"] == source("other"), "{state}");
    ensure!(state["syncResult"]["revision"] == commit, "{state}");
    let settings = config_map("manual-source", "settings");
    ensure!(scene.expect(&settings).await?["data"]["value"] == "other");
    let both = [source("app"), source("more")];
    let app = operate(&scene, "manual-source", json!({"sources": both})).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Succeeded", "{state}");
    ensure!(state["syncResult"]["sources"] == json!(both), "{state}");
    ensure!(state["syncResult"]["revisions"] == json!([commit, commit]), "{state}");
    ensure!(scene.expect(&settings).await?["data"]["value"] == "app");
    scene.expect(&config_map("manual-source", "more")).await?;
    // What the spec says is what counts.
    let app = scene.refresh("manual-source", "normal").await?;
    let resources = &app["status"]["resources"];
    ensure!(resources[0]["name"] == "more" && resources[0]["requiresPruning"] == true, "{resources}");
    ensure!(app["status"]["sync"]["comparedTo"]["source"]["path"] == "app", "{}", app["status"]["sync"]);
    Ok(())
}

#[tokio::test]
async fn manifests_that_are_not_in_git_are_refused() -> anyhow::Result<()> {
    let scene = Scene::new("manual-manifests").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("manual-manifests", "app", json!({})).await?;
    let local = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "local"}}).to_string();
    let options = json!(["CreateNamespace=true"]);
    let app =
        operate(&scene, "manual-manifests", json!({"manifests": [local], "syncOptions": options})).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Failed", "{state}");
    let message = state["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("operation.sync.manifests is not supported: commit them"), "{message}");
    ensure!(scene.get("/api/v1/namespaces/manual-manifests").await?.is_none(), "something was applied");
    operate(&scene, "manual-manifests", json!({"syncOptions": options})).await?;
    scene.synced("manual-manifests", &commit).await?;
    Ok(())
}

#[tokio::test]
async fn a_terminated_operation_ends_as_failed() -> anyhow::Result<()> {
    let scene = Scene::new("manual-terminated").await?;
    let late = manifest("late", "1")
        .replace("  name: late\n", "  name: late\n  annotations:\n    argocd.argoproj.io/sync-wave: \"1\"\n");
    scene.repository.write("app/first.yaml", &deployment("first", Some("hangs")))?;
    scene.repository.write("app/late.yaml", &late)?;
    scene.repository.publish("Add two waves").await?;
    scene.create("manual-terminated", "app", json!({})).await?;
    let path = application("manual-terminated");
    let sync = json!({"syncOptions": ["CreateNamespace=true"]});
    scene.patch(&path, json!({"operation": {"sync": sync}})).await?;
    scene.wait(&path, "is under way", |app| app["status"]["operationState"]["phase"] == "Running").await?;
    scene.patch(&path, json!({"status": {"operationState": {"phase": "Terminating"}}})).await?;
    let ended =
        |app: &Value| app["status"]["operationState"]["phase"] == "Failed" && app["operation"].is_null();
    let app = scene.wait(&path, "has failed", ended).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["message"] == "Operation terminated", "{state}");
    ensure!(scene.get(&config_map("manual-terminated", "late")).await?.is_none(), "it went on");
    Ok(())
}

/// Was gone until the next sync: the operation ended between the deletion and the new object.
#[tokio::test]
async fn what_a_terminated_operation_deleted_by_force_is_there_again_when_it_has_ended() -> anyhow::Result<()>
{
    let scene = Scene::new("manual-anew").await?;
    let forced = [("argocd.argoproj.io/sync-options", "Replace=true,Force=true")];
    scene.repository.write("app/forced.yaml", &annotated(&manifest("forced", "1"), &forced))?;
    let commit = scene.repository.publish("Add a ConfigMap").await?;
    scene.create("manual-anew", "app", json!({})).await?;
    let (path, forced) = (application("manual-anew"), config_map("manual-anew", "forced"));
    operate(&scene, "manual-anew", json!({"syncOptions": ["CreateNamespace=true"]})).await?;
    scene.synced("manual-anew", &commit).await?;
    let before = scene.expect(&forced).await?;
    scene.patch(&forced, json!({"metadata": {"finalizers": ["tests.example.com/hold"]}})).await?;
    scene.patch(&path, json!({"operation": {"sync": {}}})).await?;
    let waits = |app: &Value| {
        state(app)["phase"] == "Running" && state(app)["message"].to_string().contains("waiting for deletion")
    };
    scene.wait(&path, "waits for the deletion", waits).await?;
    scene.patch(&path, json!({"status": {"operationState": {"phase": "Terminating"}}})).await?;
    let stops = |app: &Value| {
        state(app)["phase"] == "Terminating" && state(app)["message"].to_string().contains("to make it anew")
    };
    scene.wait(&path, "says what is left to do", stops).await?;
    scene.patch(&forced, json!({"metadata": {"finalizers": null}})).await?;
    let app = scene.wait(&path, "has ended", |app| state(app)["phase"] == "Failed").await?;
    ensure!(state(&app)["message"] == "Operation terminated", "{}", state(&app));
    let after = scene.expect(&forced).await?;
    ensure!(before["metadata"]["uid"] != after["metadata"]["uid"], "it was not deleted");
    Ok(())
}

/// Settings of value 1; then of value 2 and a new object.
async fn two_commits(scene: &Scene<'_>) -> anyhow::Result<(String, String)> {
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    scene.repository.write("app/new.yaml", &manifest("new", "2"))?;
    let second = scene.repository.publish("Change settings").await?;
    Ok((first, second))
}

/// Sets an operation as a person does and waits until it has ended.
async fn operate(scene: &Scene<'_>, name: &str, sync: Value) -> anyhow::Result<Value> {
    scene.operate(name, json!({"initiatedBy": {"username": "ada"}, "sync": sync})).await
}

/// The API server takes any operation; whoever asked waits for an answer.
#[tokio::test]
async fn an_operation_that_cannot_be_begun_ends_with_the_reason() -> anyhow::Result<()> {
    let scene = Scene::new("manual-stuck").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add settings").await?;
    let spec = json!({"destination": {"server": "https://nowhere.example.com", "namespace": "manual-stuck"}});
    scene.create("manual-stuck", "app", spec).await?;
    scene.patch(&application("manual-stuck"), json!({"operation": {"sync": {}}})).await?;
    let ended = |app: &Value| app["operation"].is_null() && state(app)["phase"] == "Error";
    let app = scene.wait(&application("manual-stuck"), "answers", ended).await?;
    ensure!(state(&app)["message"].to_string().contains("nowhere.example.com"), "{}", state(&app));
    Ok(())
}
