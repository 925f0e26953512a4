//! Tracking: objects say whose they are by a label, by the tracking id, or by both, as the installation wants. Whatever
//! the method, only an Application's own objects are pruned.

use anyhow::ensure;
use ithaca_tests::Stack;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

const NAME: &str = "tracking";
const METHOD: &str = "application.resourceTrackingMethod";
const INSTALLATION: &str = "installationID";
const LABEL: &str = "app.kubernetes.io/instance";
const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
const INSTALLATION_ID: &str = "argocd.argoproj.io/installation-id";
/// By its effect one sees that settings are in force.
const HEALTH: &str = "resource.customizations.health.ConfigMap";

#[tokio::test]
async fn only_what_is_an_applications_own_is_pruned_whatever_the_method() -> anyhow::Result<()> {
    // A stack of its own: the method is for the whole installation.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, NAME).await?;
    for name in ["a", "b", "c", "d"] {
        scene.repository.write(&format!("app/{name}.yaml"), &manifest(name, "1"))?;
    }
    scene.repository.write("app/database.yaml", &database())?;
    scene.repository.write("app/volume.yaml", &claim("own").to_string())?;
    scene.repository.write("probe/probe.yaml", &manifest("probe", "1"))?;
    let commit = scene.repository.publish("Add four and a database").await?;
    set(&scene, &[(METHOD, "label")], "by-label").await?;
    scene.create("tracking-probe", "probe", automated()).await?;
    judged(&scene, "tracking-probe", "by-label").await?;
    scene.create(NAME, "app", automated()).await?;
    scene.synced(NAME, &commit).await?;
    let a = scene.expect(&config_map(NAME, "a")).await?;
    ensure!(a["metadata"]["labels"][LABEL] == NAME, "{}", a["metadata"]);
    ensure!(a["metadata"]["annotations"][TRACKING_ID].is_null(), "{}", a["metadata"]);

    let strangers = strangers(&scene, &a).await?;
    remove(&scene, "b").await?;
    all_are_there(&scene, &strangers).await?;

    marks_alone_are_no_difference(&scene).await?;
    remove(&scene, "c").await?;
    all_are_there(&scene, &strangers).await?;

    another_installations_objects_stay(&scene).await?;
    all_are_there(&scene, &strangers).await?;

    scene.settings(&[(METHOD, "labels")]).await?;
    let refused = |app: &Value| app["status"]["conditions"].to_string().contains(METHOD);
    let app = scene.wait(&application(NAME), "tells what cannot be read", refused).await?;
    ensure!(app["status"]["conditions"][0]["type"] == "ComparisonError", "{}", app["status"]["conditions"]);
    stack.stop().await
}

/// A StatefulSet whose volume claims inherit the label from its selector, as charts have it.
fn database() -> String {
    let labels = json!({LABEL: NAME, "app": "db"});
    let containers = json!([{"name": "db", "image": "registry.example.com/player"}]);
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            "volumeClaimTemplates": [claim("data")],
        },
    });
    set.to_string()
}

fn claim(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}},
    }})
}

/// Objects that carry the label and are not the Application's: where they are.
async fn strangers(scene: &Scene<'_>, owner: &Value) -> anyhow::Result<Vec<String>> {
    let labels = json!({LABEL: NAME});
    let charts = json!({"metadata": {"name": "of-a-chart", "labels": labels}});
    scene.post(&format!("/api/v1/namespaces/{NAME}/configmaps"), &charts).await?;
    let reference =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": owner["metadata"]["uid"]}]);
    let owned = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "owned", "namespace": NAME, "labels": labels, "ownerReferences": reference,
    }});
    scene.repository.write("owned.yaml", &owned.to_string())?;
    let file = scene.repository.folder.join("owned.yaml").display().to_string();
    let apply = ["apply", "--server-side", "--field-manager=argocd-controller", "-f", &file];
    scene.stack.cluster.kubectl(&apply).await?;
    let volume = format!("/api/v1/namespaces/{NAME}/persistentvolumeclaims/data-db-0");
    ithaca_tests::wait_until("the database has a volume claim", crate::scene::DEADLINE, async || {
        let volume = scene.expect(&volume).await?;
        ensure!(volume["metadata"]["labels"][LABEL] == NAME, "it did not inherit the label: {volume}");
        Ok(())
    })
    .await?;
    Ok(vec![config_map(NAME, "of-a-chart"), config_map(NAME, "owned"), volume])
}

async fn all_are_there(scene: &Scene<'_>, strangers: &[String]) -> anyhow::Result<()> {
    for path in strangers {
        let stranger = scene.expect(path).await?;
        ensure!(stranger["metadata"]["deletionTimestamp"].is_null(), "{}", stranger["metadata"]);
    }
    let app = scene.expect(&application(NAME)).await?;
    let listed = app["status"]["resources"].to_string();
    for name in ["of-a-chart", "owned", "data-db-0", "of-the-west"] {
        ensure!(!listed.contains(name), "{name} is told of as if it were the Application's: {listed}");
    }
    Ok(())
}

/// Takes one from Git, and waits until it is gone.
async fn remove(scene: &Scene<'_>, name: &str) -> anyhow::Result<()> {
    scene.repository.remove(&format!("app/{name}.yaml"))?;
    let commit = scene.repository.publish("Remove one").await?;
    scene.synced(NAME, &commit).await?;
    scene.gone(&config_map(NAME, name)).await
}

/// After a change to the tracking id nothing is written until somebody syncs.
async fn marks_alone_are_no_difference(scene: &Scene<'_>) -> anyhow::Result<()> {
    let before = scene.expect(&application(NAME)).await?;
    let a = scene.expect(&config_map(NAME, "a")).await?;
    set(scene, &[], "by-id").await?;
    let app = judged(scene, NAME, "by-id").await?;
    ensure!(app["status"]["sync"]["status"] == "Synced", "{}", app["status"]);
    ensure!(app["status"]["operationState"] == before["status"]["operationState"], "{}", app["status"]);
    ensure!(scene.expect(&config_map(NAME, "a")).await? == a, "it was written");

    let operation = json!({"operation": {"sync": {"prune": true}}});
    scene.patch(&application(NAME), operation).await?;
    let marked = |object: &Value| {
        let metadata = &object["metadata"];
        !metadata["annotations"][TRACKING_ID].is_null() && metadata["labels"][LABEL].is_null()
    };
    for name in ["a", "c", "d"] {
        scene.wait(&config_map(NAME, name), "has the tracking id instead of the label", marked).await?;
    }
    Ok(())
}

async fn another_installations_objects_stay(scene: &Scene<'_>) -> anyhow::Result<()> {
    set(scene, &[(METHOD, "annotation+label"), (INSTALLATION, "east")], "of-the-east").await?;
    let marked = |object: &Value| {
        let metadata = &object["metadata"];
        metadata["annotations"][INSTALLATION_ID] == "east" && metadata["labels"][LABEL] == NAME
    };
    for name in ["a", "d"] {
        scene.wait(&config_map(NAME, name), "is marked for this installation", marked).await?;
    }
    let name = "of-the-west";
    let annotations =
        json!({TRACKING_ID: format!("{NAME}:/ConfigMap:{NAME}/{name}"), INSTALLATION_ID: "west"});
    let other = json!({"metadata": {"name": name, "annotations": annotations}});
    scene.post(&format!("/api/v1/namespaces/{NAME}/configmaps"), &other).await?;
    remove(scene, "d").await?;
    scene.expect(&config_map(NAME, name)).await?;
    Ok(())
}

/// Settings, and a word that the health of ConfigMaps has once they are in force.
async fn set(scene: &Scene<'_>, data: &[(&str, &str)], word: &str) -> anyhow::Result<()> {
    let script = format!("return {{status = 'Healthy', message = '{word}'}}");
    let data: Vec<_> = data.iter().copied().chain([(HEALTH, script.as_str())]).collect();
    scene.settings(&data).await
}

/// Waits until an Application is judged by the settings that have this word.
async fn judged(scene: &Scene<'_>, name: &str, word: &str) -> anyhow::Result<Value> {
    let judged = |app: &Value| app["status"]["resources"][0]["health"]["message"] == word;
    scene.wait(&application(name), "is judged by the new settings", judged).await
}
