//! Takeover: what was in the cluster before Ithaca becomes its own, and only Git counts from then on.

use anyhow::ensure;
use serde_json::json;

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn an_object_of_kubectl_apply_is_adopted_and_loses_what_git_does_not_have() -> anyhow::Result<()> {
    let scene = Scene::new("takeover").await?;
    scene.stack.cluster.kubectl(&["create", "namespace", "takeover"]).await?;
    let before = manifest("settings", "before") + "  only-applied: client-side\n";
    scene.repository.write("before.yaml", &before)?;
    let file = scene.repository.folder.join("before.yaml").display().to_string();
    scene.stack.cluster.kubectl(&["apply", "-n", "takeover", "-f", &file]).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "after"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let path = config_map("takeover", "settings");
    let uid = scene.expect(&path).await?["metadata"]["uid"].clone();
    scene.create("takeover", "app", automated()).await?;
    scene.synced("takeover", &commit).await?;
    let settings = scene.expect(&path).await?;
    ensure!(settings["data"] == json!({"value": "after"}), "{settings}");
    ensure!(settings["metadata"]["uid"] == uid, "it was made anew");
    let managers = settings["metadata"]["managedFields"].as_array().into_iter().flatten();
    let managers: Vec<_> = managers.map(|entry| &entry["manager"]).collect();
    ensure!(managers == ["argocd-controller"], "{managers:?}");
    Ok(())
}

#[tokio::test]
async fn with_the_option_off_what_kubectl_applied_stays_its_own() -> anyhow::Result<()> {
    let scene = Scene::new("takeover-off").await?;
    scene.stack.cluster.kubectl(&["create", "namespace", "takeover-off"]).await?;
    let before = manifest("settings", "before") + "  only-applied: client-side\n";
    scene.repository.write("before.yaml", &before)?;
    let file = scene.repository.folder.join("before.yaml").display().to_string();
    scene.stack.cluster.kubectl(&["apply", "-n", "takeover-off", "-f", &file]).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "after"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["syncPolicy"]["syncOptions"] = json!(["CreateNamespace=true", "ClientSideApplyMigration=false"]);
    scene.create("takeover-off", "app", spec).await?;
    let app = scene.synced("takeover-off", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    let settings = scene.expect(&config_map("takeover-off", "settings")).await?;
    ensure!(settings["data"] == json!({"value": "after", "only-applied": "client-side"}), "{settings}");
    let managers = settings["metadata"]["managedFields"].as_array().into_iter().flatten();
    let managers: Vec<_> = managers.map(|entry| &entry["manager"]).collect();
    ensure!(managers == ["argocd-controller", "kubectl-client-side-apply"], "{managers:?}");
    Ok(())
}

#[tokio::test]
async fn a_manager_that_the_application_names_is_taken_over() -> anyhow::Result<()> {
    let scene = Scene::new("takeover-named").await?;
    scene.stack.cluster.kubectl(&["create", "namespace", "takeover-named"]).await?;
    let data = json!({"value": "before", "only-written": "by tester"});
    let before = json!({"metadata": {"name": "settings"}, "data": data});
    scene.post("/api/v1/namespaces/takeover-named/configmaps", &before).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "after"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut application = scene.application("takeover-named", "app", &automated());
    application["metadata"]["annotations"] =
        json!({"argocd.argoproj.io/client-side-apply-migration-manager": "tester"});
    scene.post("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", &application).await?;
    scene.synced("takeover-named", &commit).await?;
    let settings = scene.expect(&config_map("takeover-named", "settings")).await?;
    ensure!(settings["data"] == json!({"value": "after"}), "{settings}");
    Ok(())
}

#[tokio::test]
async fn an_object_of_another_application_is_told_of() -> anyhow::Result<()> {
    let scene = Scene::new("takeover-shared").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("takeover-shared", "app", automated()).await?;
    scene.synced("takeover-shared", &commit).await?;
    let elsewhere = json!({"destination": {"namespace": "takeover-shared"}});
    scene.create("takeover-second", "app", elsewhere).await?;
    let name = application("takeover-second");
    let app = scene
        .wait(&name, "tells who has it", |app| {
            app["status"]["conditions"][0]["type"] == "SharedResourceWarning"
        })
        .await?;
    let message = app["status"]["conditions"][0]["message"].to_string();
    ensure!(message.contains("settings") && message.contains("takeover-shared"), "{message}");
    Ok(())
}

/// Two that heal would take the object from each other for ever.
#[tokio::test]
async fn two_applications_that_want_one_object_do_not_fight_over_it() -> anyhow::Result<()> {
    let scene = Scene::new("takeover-both").await?;
    scene.repository.write("first/settings.yaml", &manifest("settings", "first"))?;
    scene.repository.write("second/settings.yaml", &manifest("settings", "second"))?;
    let commit = scene.repository.publish("Add settings twice").await?;
    scene.create("takeover-both", "first", automated()).await?;
    scene.synced("takeover-both", &commit).await?;
    let mut spec = automated();
    spec["destination"] = json!({"namespace": "takeover-both"});
    scene.create("takeover-other", "second", spec).await?;
    let settings = config_map("takeover-both", "settings");
    for (name, sync) in [("takeover-other", "Synced"), ("takeover-both", "OutOfSync")] {
        let told = |app: &serde_json::Value| {
            let status = &app["status"];
            let condition = &status["conditions"][0];
            status["sync"]["status"] == sync
                && condition["type"] == "SharedResourceWarning"
                && condition["message"].to_string().contains("settings is part of applications")
        };
        scene.wait(&application(name), "tells of the other", told).await?;
    }
    let before = scene.expect(&settings).await?;
    ensure!(before["data"]["value"] == "second", "{before}");
    for name in ["takeover-both", "takeover-other"] {
        let app = scene.refresh(name, "normal").await?;
        let heals = &app["status"]["operationState"]["operation"]["sync"]["autoHealAttemptsCount"];
        ensure!(heals.is_null(), "{name} has healed {heals} times");
    }
    ensure!(before == scene.expect(&settings).await?, "it was written again");

    // Whoever has it keeps it as its Git says.
    scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
    scene.wait(&settings, "is as it was", |object| object["data"]["value"] == "second").await?;
    // And once that one is gone, the other has it.
    scene.delete(&application("takeover-other")).await?;
    scene.wait(&settings, "is the first's", |object| object["data"]["value"] == "first").await?;
    let app = scene.synced("takeover-both", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}
