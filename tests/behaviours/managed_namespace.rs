//! The destination's namespace: made with what `managedNamespaceMetadata` says, kept so, and never deleted.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, manifest};

#[tokio::test]
async fn its_labels_are_made_kept_and_taken_away() -> anyhow::Result<()> {
    let scene = Scene::new("managed-namespace").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["syncPolicy"]["managedNamespaceMetadata"] = json!({"labels": {"team": "sea", "pod-security.kubernetes.io/enforce": "restricted"}, "annotations": {"a": "b"}});
    scene.create("managed-namespace", "app", spec).await?;
    let app = scene.synced("managed-namespace", &commit).await?;
    let applied = &app["status"]["operationState"]["syncResult"]["managedNamespaceMetadata"];
    ensure!(applied["labels"]["team"] == "sea" && applied["annotations"]["a"] == "b", "{applied}");
    let path = "/api/v1/namespaces/managed-namespace";
    let has = |team: Value| move |namespace: &Value| namespace["metadata"]["labels"]["team"] == team;
    let namespace = scene.wait(path, "has its labels", has(json!("sea"))).await?;
    ensure!(namespace["metadata"]["annotations"]["a"] == "b", "{namespace}");
    // Its own drift.
    scene.patch(path, json!({"metadata": {"labels": {"team": "land", "foreign": "kept"}}})).await?;
    let namespace = scene.wait(path, "is healed", has(json!("sea"))).await?;
    ensure!(namespace["metadata"]["labels"]["foreign"] == "kept", "{namespace}");
    // A change of the spec alone.
    let name = application("managed-namespace");
    let labels = json!({"team": null, "crew": "argonauts"});
    scene
        .patch(&name, json!({"spec": {"syncPolicy": {"managedNamespaceMetadata": {"labels": labels}}}}))
        .await?;
    scene.wait(path, "follows the spec", has(Value::Null)).await?;

    scene
        .patch(&name, json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}))
        .await?;
    scene.delete(&name).await?;
    scene.gone(&name).await?;
    let namespace = scene.expect(path).await?;
    ensure!(namespace["metadata"]["deletionTimestamp"].is_null(), "it is being deleted");
    Ok(())
}
