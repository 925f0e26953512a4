//! Sync options: how objects are written, and what is said of options that have no effect.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

/// A manifest with sync options of its own.
fn with_options(manifest: &str, options: &str) -> String {
    let annotations = format!("metadata:\n  annotations:\n    argocd.argoproj.io/sync-options: {options}\n");
    manifest.replacen("metadata:\n", &annotations, 1)
}

fn conditions(app: &Value) -> String {
    app["status"]["conditions"].to_string()
}

fn messages(app: &Value) -> String {
    app["status"]["operationState"]["syncResult"]["resources"].to_string()
}

#[tokio::test]
async fn replace_puts_the_whole_object_in_place_of_the_live_one() -> anyhow::Result<()> {
    let scene = Scene::new("options-replace").await?;
    scene.repository.write("app/settings.yaml", &with_options(&manifest("settings", "1"), "Replace=true"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("options-replace", "app", automated()).await?;
    scene.synced("options-replace", &first).await?;
    let settings = config_map("options-replace", "settings");
    let before = scene.expect(&settings).await?;
    scene.patch(&settings, json!({"data": {"foreign": "1"}})).await?;
    scene.repository.write("app/settings.yaml", &with_options(&manifest("settings", "2"), "Replace=true"))?;
    let second = scene.repository.publish("Change settings").await?;
    let app = scene.synced("options-replace", &second).await?;
    let after = scene.expect(&settings).await?;
    ensure!(after["data"] == json!({"value": "2"}), "a merge left {}", after["data"]);
    ensure!(before["metadata"]["uid"] == after["metadata"]["uid"], "it was deleted");
    ensure!(messages(&app).contains("configmap/settings replaced"), "{}", messages(&app));
    Ok(())
}

#[tokio::test]
async fn force_makes_anew_what_cannot_be_changed() -> anyhow::Result<()> {
    let scene = Scene::new("options-force").await?;
    let fixed = |value: &str| format!("{}immutable: true\n", manifest("settings", value));
    scene.repository.write("app/settings.yaml", &fixed("1"))?;
    let first = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("options-force", "app", spec).await?;
    scene.synced("options-force", &first).await?;
    let settings = config_map("options-force", "settings");
    let before = scene.expect(&settings).await?;
    scene.repository.write("app/settings.yaml", &fixed("2"))?;
    scene.repository.publish("Change what cannot be changed").await?;
    let name = application("options-force");
    scene.wait(&name, "tells of the refusal", |app| conditions(app).contains("field is immutable")).await?;
    scene.repository.write("app/settings.yaml", &with_options(&fixed("2"), "Force=true"))?;
    let third = scene.repository.publish("Change it by force").await?;
    scene.synced("options-force", &third).await?;
    let after = scene.expect(&settings).await?;
    ensure!(
        after["data"]["value"] == "2" && before["metadata"]["uid"] != after["metadata"]["uid"],
        "{after}"
    );
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_another_application_can_be_left_alone() -> anyhow::Result<()> {
    let scene = Scene::new("options-shared").await?;
    scene.repository.write("first/settings.yaml", &manifest("settings", "first"))?;
    scene.repository.write("second/settings.yaml", &manifest("settings", "second"))?;
    let commit = scene.repository.publish("Add settings twice").await?;
    scene.create("options-shared", "first", automated()).await?;
    scene.synced("options-shared", &commit).await?;
    let mut spec = automated();
    spec["destination"] = json!({"namespace": "options-shared"});
    spec["syncPolicy"]["syncOptions"] = json!(["FailOnSharedResource=true"]);
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("options-shared-second", "second", spec).await?;
    let refused = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Failed" && state["message"].to_string().contains("Shared resource found")
    };
    scene.wait(&application("options-shared-second"), "is refused", refused).await?;
    let settings = scene.expect(&config_map("options-shared", "settings")).await?;
    ensure!(settings["data"]["value"] == "first", "{settings}");
    Ok(())
}

#[tokio::test]
async fn options_without_effect_are_named() -> anyhow::Result<()> {
    let scene = Scene::new("options-unknown").await?;
    scene
        .repository
        .write("app/settings.yaml", &with_options(&manifest("settings", "1"), "Prune=perhaps"))?;
    let odd = manifest("odd", "1").replacen(
        "metadata:\n",
        "metadata:\n  annotations:\n    argocd.argoproj.io/hook: Later\n    argocd.argoproj.io/hook-delete-policy: Sometimes\n    argocd.argoproj.io/compare-options: Loosely\n",
        1,
    );
    scene.repository.write("app/odd.yaml", &odd)?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["syncPolicy"]["syncOptions"] = json!(["CreateNamespace=true", "Prunelast=true"]);
    spec["syncPolicy"]["retry"] = json!({"limit": 2, "backoff": {"duration": "soon"}});
    scene.create("options-unknown", "app", spec).await?;
    scene.synced("options-unknown", &commit).await?;
    let annotations = json!({"argocd.argoproj.io/deletion-approved": "yes"});
    scene.patch(&application("options-unknown"), json!({"metadata": {"annotations": annotations}})).await?;
    let operation = json!({"sync": {"syncOptions": ["Validated=false"]}});
    scene.patch(&application("options-unknown"), json!({"operation": operation})).await?;
    let words = [
        "UnsupportedWarning",
        "no sync option Prunelast",
        "Prune=perhaps has no effect",
        "argocd.argoproj.io/hook has no effect where it says Later",
        "argocd.argoproj.io/hook-delete-policy has no effect where it says Sometimes",
        "argocd.argoproj.io/compare-options: Loosely has no effect",
        "spec.syncPolicy.retry.backoff.duration",
        "argocd.argoproj.io/deletion-approved",
        "operation.sync.syncOptions: there is no sync option Validated",
    ];
    let all_are_told = |app: &Value| words.iter().all(|words| conditions(app).contains(words));
    scene.wait(&application("options-unknown"), "tells of all of them", all_are_told).await?;
    Ok(())
}

#[tokio::test]
async fn an_object_of_a_kind_that_comes_later_holds_up_nothing_before_it() -> anyhow::Result<()> {
    let scene = Scene::new("options-missing").await?;
    let late = "apiVersion: missing.example.com/v1\nkind: Late\nmetadata:\n  name: late\n";
    scene.repository.write("app/late.yaml", &with_options(late, "SkipDryRunOnMissingResource=true"))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings and what cannot be there yet").await?;
    scene.create("options-missing", "app", automated()).await?;
    scene.wait(&config_map("options-missing", "settings"), "is there", |_| true).await?;
    // What an operator brings.
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "lates.missing.example.com"},
        "spec": {
            "group": "missing.example.com",
            "names": {"kind": "Late", "plural": "lates"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    scene.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await?;
    scene.synced("options-missing", &commit).await?;
    scene.expect("/apis/missing.example.com/v1/namespaces/options-missing/lates/late").await?;
    Ok(())
}
