//! App of apps: from one root Application everything else follows from Git, the root itself included.

use anyhow::ensure;
use ithaca_tests::{Repository, sample};
use serde_json::json;

use crate::scene::{DEADLINE, Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn one_root_application_brings_a_whole_house_and_keeps_it() -> anyhow::Result<()> {
    let scene = Scene::new("sample").await?;
    let repository = &scene.repository;
    sample::publish(repository).await?;
    let commit = repository.head().await?;
    scene.stack.cluster.apply(&sample::root_application(repository)?).await?;
    for name in ["root", "website", "gateway", "notes"] {
        scene.synced(name, &commit).await?;
        let healthy = |app: &serde_json::Value| app["status"]["health"]["status"] == "Healthy";
        scene.wait(&application(name), "is Healthy", healthy).await?;
    }
    let root = scene.expect(&application("root")).await?;
    let tracking = &root["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
    ensure!(tracking == "root:argoproj.io/Application:argocd/root", "{tracking}");
    ensure!(root["status"]["summary"]["isAppOfApps"] == true, "{}", root["status"]["summary"]);

    a_bumped_image_is_rolled_out(&scene).await?;
    a_new_folder_becomes_an_application(&scene).await?;
    the_root_changes_itself(&scene).await?;
    a_removed_folder_takes_its_application_along(&scene).await
}

#[tokio::test]
async fn a_root_that_goes_takes_along_the_objects_of_those_with_a_finalizer() -> anyhow::Result<()> {
    let scene = Scene::new("family").await?;
    let finalizers = json!(["resources-finalizer.argocd.argoproj.io"]);
    for name in ["family-with", "family-without"] {
        let mut child = scene.application(name, name, &automated());
        if name == "family-with" {
            child["metadata"]["finalizers"] = finalizers.clone();
        }
        scene.repository.write(&format!("apps/{name}.yaml"), &child.to_string())?;
        scene.repository.write(&format!("{name}/settings.yaml"), &manifest("settings", "1"))?;
    }
    let commit = scene.repository.publish("Add a family").await?;
    let mut spec = automated();
    spec["destination"] = json!({"namespace": "argocd"});
    let mut root = scene.application("family", "apps", &spec);
    root["metadata"]["finalizers"] = finalizers;
    scene.post("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", &root).await?;
    for name in ["family", "family-with", "family-without"] {
        scene.synced(name, &commit).await?;
    }
    scene.delete(&application("family")).await?;
    for name in ["family", "family-with", "family-without"] {
        scene.gone(&application(name)).await?;
    }
    ensure!(scene.get(&config_map("family-with", "settings")).await?.is_none(), "its object outlived it");
    let left = scene.expect(&config_map("family-without", "settings")).await?;
    ensure!(left["metadata"]["deletionTimestamp"].is_null(), "{left}");
    Ok(())
}

async fn a_bumped_image_is_rolled_out(scene: &Scene<'_>) -> anyhow::Result<()> {
    edit(&scene.repository, "lab/website/values-home.yaml", "2.7.0", "9.9.9")?;
    let commit = scene.repository.publish("Bump the website").await?;
    let app = scene.synced("website", &commit).await?;
    let images = app["status"]["summary"]["images"].to_string();
    ensure!(images.contains("9.9.9"), "{images}");
    Ok(())
}

async fn a_new_folder_becomes_an_application(scene: &Scene<'_>) -> anyhow::Result<()> {
    let notes = scene.repository.read("lab/notes/application.yaml")?;
    scene.repository.write("lab/diary/application.yaml", &notes.replace("notes", "diary"))?;
    scene.repository.write("lab/diary/manifests/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add a diary").await?;
    scene.synced("diary", &commit).await?;
    scene.expect(&config_map("diary", "settings")).await?;
    Ok(())
}

async fn the_root_changes_itself(scene: &Scene<'_>) -> anyhow::Result<()> {
    edit(&scene.repository, "bootstrap/root.yaml", "spec:\n", "spec:\n  revisionHistoryLimit: 3\n")?;
    let commit = scene.repository.publish("Keep less history").await?;
    let name = application("root");
    scene.wait(&name, "has the new spec", |app| app["spec"]["revisionHistoryLimit"] == 3).await?;
    scene.patch(&name, json!({"spec": {"revisionHistoryLimit": 7}})).await?;
    scene.wait(&name, "has its own spec again", |app| app["spec"]["revisionHistoryLimit"] == 3).await?;
    let root = scene.synced("root", &commit).await?;
    ensure!(root["status"]["history"].as_array().is_some_and(|all| all.len() <= 3), "{}", root["status"]);
    Ok(())
}

async fn a_removed_folder_takes_its_application_along(scene: &Scene<'_>) -> anyhow::Result<()> {
    scene.repository.remove("lab/notes")?;
    let commit = scene.repository.publish("Remove the notes").await?;
    scene.gone(&application("notes")).await?;
    scene.synced("root", &commit).await?;
    let left = ithaca_tests::wait_until("its objects are gone", DEADLINE, async || {
        let left = scene.expect("/apis/apps/v1/namespaces/notes/deployments").await?;
        ensure!(left["items"] == json!([]), "left are {}", left["items"]);
        Ok(())
    });
    left.await?;
    for name in ["website", "gateway", "diary"] {
        scene.synced(name, &commit).await?;
    }
    Ok(())
}

/// Replaces the first place of a text in a file.
fn edit(repository: &Repository, path: &str, from: &str, to: &str) -> anyhow::Result<()> {
    let text = repository.read(path)?;
    ensure!(text.contains(from), "{path} does not hold {from:?}");
    repository.write(path, &text.replacen(from, to, 1))
}
