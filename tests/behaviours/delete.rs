//! Delete: an Application goes, with its objects where it has the finalizer, and without them otherwise.

use anyhow::ensure;
use ithaca_tests::wait_until;
use serde_json::{Value, json};

use crate::scene::{DEADLINE, Scene, application, automated, config_map, manifest};

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

#[tokio::test]
async fn with_the_finalizer_its_objects_go_first() -> anyhow::Result<()> {
    let scene = Scene::new("delete").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let kept = manifest("kept", "1").replace(
        "  name: kept\n",
        "  name: kept\n  annotations:\n    argocd.argoproj.io/sync-options: Delete=false\n",
    );
    scene.repository.write("app/kept.yaml", &kept)?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut app = scene.application("delete", "app", &automated());
    app["metadata"]["finalizers"] = json!([FINALIZER]);
    scene.post(APPLICATIONS, &app).await?;
    scene.synced("delete", &commit).await?;
    scene.delete(&application("delete")).await?;
    scene.gone(&application("delete")).await?;
    ensure!(scene.get(&config_map("delete", "settings")).await?.is_none(), "its object outlived it");
    scene.expect(&config_map("delete", "kept")).await?;
    scene.event("delete", "ResourceDeleted", "with 1 object").await?;
    Ok(())
}

#[tokio::test]
async fn an_object_that_asks_for_confirmation_waits_for_it() -> anyhow::Result<()> {
    let scene = Scene::new("delete-confirm").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let asks = manifest("asks", "1").replace(
        "  name: asks\n",
        "  name: asks\n  annotations:\n    argocd.argoproj.io/sync-options: Delete=confirm\n",
    );
    scene.repository.write("app/asks.yaml", &asks)?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut app = scene.application("delete-confirm", "app", &automated());
    app["metadata"]["finalizers"] = json!([FINALIZER]);
    // Given to something else, long ago.
    app["metadata"]["annotations"] = json!({"argocd.argoproj.io/deletion-approved": "2020-01-01T00:00:00Z"});
    scene.post(APPLICATIONS, &app).await?;
    scene.synced("delete-confirm", &commit).await?;
    let name = application("delete-confirm");
    scene.delete(&name).await?;
    let waits = |app: &Value| {
        let condition = &app["status"]["conditions"][0];
        condition["type"] == "DeletionError" && condition["message"].to_string().contains("asks")
    };
    scene.wait(&name, "waits for a confirmation", waits).await?;
    scene.gone(&config_map("delete-confirm", "settings")).await?;
    let asks = scene.expect(&config_map("delete-confirm", "asks")).await?;
    ensure!(asks["metadata"]["deletionTimestamp"].is_null(), "{asks}");
    scene.approve("delete-confirm").await?;
    scene.gone(&name).await?;
    ensure!(scene.get(&config_map("delete-confirm", "asks")).await?.is_none(), "its object outlived it");
    Ok(())
}

#[tokio::test]
async fn an_application_may_keep_all_its_objects() -> anyhow::Result<()> {
    let scene = Scene::new("delete-keeps").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["syncPolicy"]["syncOptions"] = json!(["CreateNamespace=true", "Delete=false"]);
    let mut app = scene.application("delete-keeps", "app", &spec);
    app["metadata"]["finalizers"] = json!([FINALIZER]);
    scene.post(APPLICATIONS, &app).await?;
    scene.synced("delete-keeps", &commit).await?;
    scene.delete(&application("delete-keeps")).await?;
    scene.gone(&application("delete-keeps")).await?;
    let settings = scene.expect(&config_map("delete-keeps", "settings")).await?;
    ensure!(settings["metadata"]["deletionTimestamp"].is_null(), "{settings}");
    Ok(())
}

#[tokio::test]
async fn without_the_finalizer_its_objects_stay() -> anyhow::Result<()> {
    let scene = Scene::new("delete-orphan").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("other/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("delete-orphan", "app", automated()).await?;
    scene.create("delete-orphan-other", "other", automated()).await?;
    scene.synced("delete-orphan", &first).await?;
    scene.synced("delete-orphan-other", &first).await?;
    scene.delete(&application("delete-orphan")).await?;
    scene.gone(&application("delete-orphan")).await?;
    // What comes after is the proof that nothing was still to come.
    scene.repository.write("other/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change the other").await?;
    scene.synced("delete-orphan-other", &second).await?;
    let settings = scene.expect(&config_map("delete-orphan", "settings")).await?;
    ensure!(settings["metadata"]["deletionTimestamp"].is_null(), "{settings}");
    scene.event("delete-orphan", "ResourceDeleted", "left in place").await?;
    Ok(())
}

#[tokio::test]
async fn a_deletion_that_is_refused_is_told_of_and_tried_again() -> anyhow::Result<()> {
    let scene = Scene::new("delete-refused").await?;
    for name in ["settings", "more", "others"] {
        scene.repository.write(&format!("app/{name}.yaml"), &manifest(name, "1"))?;
    }
    let commit = scene.repository.publish("Add settings").await?;
    let mut app = scene.application("delete-refused", "app", &automated());
    app["metadata"]["finalizers"] = json!([FINALIZER]);
    scene.post(APPLICATIONS, &app).await?;
    scene.synced("delete-refused", &commit).await?;
    let binding = forbid_deletion(&scene, "delete-refused").await?;
    let name = application("delete-refused");
    scene.delete(&name).await?;
    let refused = |app: &Value| {
        let condition = &app["status"]["conditions"][0];
        condition["type"] == "DeletionError"
            && condition["message"].to_string().contains("kept for the audit")
    };
    let app = scene.wait(&name, "says why it is still there", refused).await?;
    // Of several reasons the first is told, whichever came first: it is no other at the next try.
    ensure!(app["status"]["conditions"].to_string().contains("more"), "{}", app["status"]["conditions"]);
    scene.delete(&binding).await?;
    scene.gone(&name).await
}

/// Has the API server refuse to delete ConfigMaps in a namespace, until what is returned is deleted.
async fn forbid_deletion(scene: &Scene<'_>, namespace: &str) -> anyhow::Result<String> {
    let group = "/apis/admissionregistration.k8s.io/v1";
    let deletions = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"],
    });
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [deletions],
            },
            "validations": [{"expression": "false", "message": "it is kept for the audit"}],
        },
    });
    scene.post(&format!("{group}/validatingadmissionpolicies"), &policy).await?;
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, "validationActions": ["Deny"]},
    });
    scene.post(&format!("{group}/validatingadmissionpolicybindings"), &binding).await?;
    let settings = config_map(namespace, "settings");
    wait_until("deletions are refused", DEADLINE, async || {
        let answer = scene.try_delete(&settings).await;
        let refused = answer.as_ref().is_err_and(|error| format!("{error:#}").contains("for the audit"));
        ensure!(refused, "the API server says {answer:?}");
        Ok(())
    })
    .await?;
    Ok(format!("{group}/validatingadmissionpolicybindings/{namespace}"))
}

#[tokio::test]
async fn an_application_that_never_came_right_can_be_deleted() -> anyhow::Result<()> {
    let scene = Scene::new("delete-broken").await?;
    scene.repository.write("README.md", "Nothing here.\n")?;
    scene.repository.publish("Start").await?;
    let mut app = scene.application("delete-broken", "nowhere", &automated());
    app["metadata"]["finalizers"] = json!([FINALIZER]);
    scene.post(APPLICATIONS, &app).await?;
    let name = application("delete-broken");
    scene.wait(&name, "tells what is wrong", |app| app["status"]["sync"]["status"] == "Unknown").await?;
    scene.delete(&name).await?;
    scene.gone(&name).await
}
