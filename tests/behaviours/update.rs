//! Update: a commit is applied, and the Application's status tells of it as compat.md has it.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn a_commit_is_applied_and_told_in_status_history_and_columns() -> anyhow::Result<()> {
    let scene = Scene::new("update").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("update", "app", automated()).await?;
    scene.synced("update", &first).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change settings").await?;
    let app = scene.synced("update", &second).await?;
    ensure!(scene.expect(&config_map("update", "settings")).await?["data"]["value"] == "2");

    let status = &app["status"];
    let source = &app["spec"]["source"];
    ensure!(&status["sync"]["comparedTo"]["source"] == source, "{status}");
    ensure!(status["sync"]["comparedTo"]["destination"] == app["spec"]["destination"], "{status}");
    ensure!(status["health"]["status"] == "Healthy", "{status}");
    let resource = json!({
        "version": "v1", "kind": "ConfigMap", "namespace": "update", "name": "settings", "status": "Synced",
    });
    ensure!(status["resources"] == json!([resource]), "{status}");

    let state = &status["operationState"];
    ensure!(state["phase"] == "Succeeded", "{state}");
    ensure!(state["message"] == "successfully synced (all tasks run)", "{state}");
    ensure!(state["operation"]["initiatedBy"]["automated"] == true, "{state}");
    ensure!(state["operation"]["sync"]["revision"] == second, "{state}");
    ensure!(state["operation"]["retry"]["limit"] == 5, "{state}");
    ensure!(state["syncResult"]["revision"] == second, "{state}");
    ensure!(&state["syncResult"]["source"] == source, "{state}");
    let result = &state["syncResult"]["resources"][0];
    ensure!(result["status"] == "Synced" && result["syncPhase"] == "Sync", "{result}");
    ensure!(result["message"] == "configmap/settings serverside-applied", "{result}");
    ensure!(state["startedAt"].as_str() <= state["finishedAt"].as_str(), "{state}");

    let history = &status["history"];
    let told = |place: usize| (&history[place]["id"], &history[place]["revision"]);
    ensure!(told(0) == (&json!(0), &json!(first)), "{history}");
    ensure!(told(1) == (&json!(1), &json!(second)), "{history}");
    ensure!(history[1]["initiatedBy"]["automated"] == true && &history[1]["source"] == source, "{history}");

    let arguments =
        ["get", "applications.argoproj.io", "update", "-n", "argocd", "-o", "wide", "--no-headers"];
    let columns = scene.stack.cluster.kubectl(&arguments).await?;
    let columns: Vec<_> = columns.split_whitespace().collect();
    ensure!(columns == ["update", "Synced", "Healthy", second.as_str(), "default"], "{columns:?}");
    Ok(())
}

#[tokio::test]
async fn a_branch_a_tag_and_a_commit_are_followed_as_they_are() -> anyhow::Result<()> {
    let scene = Scene::new("update-revisions").await?;
    let repository = &scene.repository;
    repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = repository.publish("Add settings").await?;
    repository.git(&["tag", "v1"]).await?;
    repository.git(&["push", "--quiet", "origin", "v1", "main:stable"]).await?;
    for (name, revision) in
        [("update-tag", "v1"), ("update-commit", first.as_str()), ("update-branch", "stable")]
    {
        let mut spec = automated();
        spec["source"]["targetRevision"] = json!(revision);
        scene.create(name, "app", spec).await?;
        scene.synced(name, &first).await?;
    }
    repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = repository.publish("Change settings").await?;
    repository.git(&["push", "--quiet", "origin", "main:stable"]).await?;
    scene.synced("update-branch", &second).await?;
    ensure!(scene.expect(&config_map("update-branch", "settings")).await?["data"]["value"] == "2");
    for name in ["update-tag", "update-commit"] {
        let app = scene.refresh(name, "normal").await?;
        ensure!(app["status"]["sync"]["revision"] == first, "{name}: {}", app["status"]["sync"]);
        ensure!(scene.expect(&config_map(name, "settings")).await?["data"]["value"] == "1", "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_spec_is_followed_at_once() -> anyhow::Result<()> {
    let scene = Scene::new("update-spec").await?;
    scene.repository.write("one/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("two/settings.yaml", &manifest("settings", "2"))?;
    let commit = scene.repository.publish("Add two folders").await?;
    scene.create("update-spec", "one", automated()).await?;
    scene.synced("update-spec", &commit).await?;
    let patch = json!({"spec": {"source": {"path": "two"}}});
    scene.patch(&application("update-spec"), patch).await?;
    let settings = config_map("update-spec", "settings");
    scene.wait(&settings, "is that of the other folder", |object| object["data"]["value"] == "2").await?;
    let compared = |app: &serde_json::Value| {
        let sync = &app["status"]["sync"];
        sync["status"] == "Synced" && sync["comparedTo"]["source"]["path"] == "two"
    };
    scene.wait(&application("update-spec"), "is compared with the other folder", compared).await?;
    Ok(())
}

#[tokio::test]
async fn a_commit_elsewhere_in_the_repository_moves_the_revision_alone() -> anyhow::Result<()> {
    let scene = Scene::new("update-elsewhere").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("update-elsewhere", "app", automated()).await?;
    let before = scene.synced("update-elsewhere", &first).await?;
    let path = config_map("update-elsewhere", "settings");
    let object = scene.expect(&path).await?;
    scene.repository.write("other/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change something else").await?;
    let after = scene.synced("update-elsewhere", &second).await?;
    for part in ["operationState", "history", "resources", "health"] {
        ensure!(before["status"][part] == after["status"][part], "{part}: {}", after["status"]);
    }
    let version = |object: &serde_json::Value| object["metadata"]["resourceVersion"].clone();
    ensure!(version(&object) == version(&scene.expect(&path).await?), "it was written");
    Ok(())
}
