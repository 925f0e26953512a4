//! The deletion guard of an ApplicationSet: a generator that finds nothing deletes every Application, and their objects
//! wait for somebody's word. The test does what whoever expands ApplicationSets does.

use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{Stack, wait_until};
use serde_json::{Value, json};

use crate::scene::{DEADLINE, Scene, application, automated, config_map, manifest};

const GROUP: &str = "/apis/argoproj.io/v1alpha1";
const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
const COUNT: usize = 13;
/// The garbage collector asks every half minute which kinds there are, and sees nothing of one that is new before.
const COLLECTED: Duration = Duration::from_secs(180);

/// The definition that Argo CD's own manifests bring, with nothing in it that is not needed here.
async fn define_application_sets(scene: &Scene<'_>) -> anyhow::Result<()> {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "applicationsets.argoproj.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": "argoproj.io",
            "names": {"kind": "ApplicationSet", "plural": "applicationsets", "singular": "applicationset"},
            "scope": "Namespaced",
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": schema}],
        },
    });
    scene.stack.cluster.apply(&definition.to_string()).await?;
    wait_until("ApplicationSets are served", DEADLINE, async || {
        let served = scene.get(&format!("{GROUP}/namespaces/argocd/applicationsets")).await?;
        served.map(drop).context("they are not")
    })
    .await
}

/// An ApplicationSet and what it generates: Applications of one ConfigMap each, in one namespace.
async fn expand(scene: &Scene<'_>, set: &str) -> anyhow::Result<()> {
    define_application_sets(scene).await?;
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": set, "namespace": "argocd"},
    });
    scene.post(&format!("{GROUP}/namespaces/argocd/applicationsets"), &object).await?;
    let uid = scene.expect(&application_set(set)).await?["metadata"]["uid"].clone();
    let owner = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": set, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    });
    for name in names(set) {
        scene.repository.write(&format!("{name}/settings.yaml"), &manifest(&name, "1"))?;
    }
    let commit = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["destination"] = json!({"namespace": set});
    for name in names(set) {
        let mut app = scene.application(&name, &name, &spec);
        app["metadata"]["ownerReferences"] = json!([owner]);
        app["metadata"]["finalizers"] = json!([FINALIZER]);
        scene.post(&format!("{GROUP}/namespaces/argocd/applications"), &app).await?;
    }
    for name in names(set) {
        scene.synced(&name, &commit).await?;
    }
    Ok(())
}

fn names(set: &str) -> Vec<String> {
    (0..COUNT).map(|number| format!("{set}-{number}")).collect()
}

fn application_set(name: &str) -> String {
    format!("{GROUP}/namespaces/argocd/applicationsets/{name}")
}

/// What an Application tells of its being held.
fn held(app: &Value) -> Option<&str> {
    let mut conditions = app["status"]["conditions"].as_array()?.iter();
    conditions.find(|told| told["type"] == "DeletionHeldWarning")?["message"].as_str()
}

async fn expect_whole(scene: &Scene<'_>, set: &str, name: &str) -> anyhow::Result<()> {
    let map = scene.expect(&config_map(set, name)).await?;
    ensure!(map["metadata"]["deletionTimestamp"].is_null(), "{map}");
    Ok(())
}

#[tokio::test]
async fn a_generator_that_finds_nothing_takes_no_objects_along() -> anyhow::Result<()> {
    const SET: &str = "set-guard";
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, SET).await?;
    expand(&scene, SET).await?;
    let mut names = names(SET);
    let selected = names.pop().context("a name")?;
    scene.delete(&application(&selected)).await?;
    scene.gone(&application(&selected)).await?;
    ensure!(scene.get(&config_map(SET, &selected)).await?.is_none(), "its object outlived it");

    // One after another, but with no more between two than the API server needs.
    scene.delete(&format!("{GROUP}/namespaces/argocd/applications")).await?;
    for name in &names {
        let told = |app: &Value| {
            held(app).is_some_and(|told| {
                told.starts_with("12 of 12 Applications of ApplicationSet set-guard would be deleted")
                    && told.contains("set-guard-11")
            })
        };
        scene.wait(&application(name), "waits", told).await?;
        expect_whole(&scene, SET, name).await?;
    }
    scene.event("set-guard-0", "DeletionHeldWarning", "12 of 12 Applications").await?;

    // One is meant to go; another is kept, as after a typo.
    scene.approve("set-guard-0").await?;
    scene.gone(&application("set-guard-0")).await?;
    ensure!(scene.get(&config_map(SET, "set-guard-0")).await?.is_none(), "its object outlived it");
    ensure!(deleted(&scene, SET).await? == 11, "deploy/README.md finds others");
    scene.patch(&application("set-guard-1"), json!({"metadata": {"finalizers": null}})).await?;
    scene.gone(&application("set-guard-1")).await?;

    // Those that are left are few enough to go, but they were held; an applier that knows nothing else knows that. An
    // Application that it syncs shows that it has looked at all.
    stack.process("applier")?.restart().await?;
    scene.create("set-guard-probe", "set-guard-2", automated()).await?;
    scene.synced("set-guard-probe", &scene.repository.head().await?).await?;
    for name in &names[2..] {
        let app = scene.expect(&application(name)).await?;
        ensure!(held(&app).is_some_and(|told| told.starts_with("12 of 12")), "{}", app["status"]);
    }
    for name in &names[1..] {
        expect_whole(&scene, SET, name).await?;
    }

    // After all it was meant.
    scene.delete(&application_set(SET)).await?;
    for name in &names[2..] {
        scene.gone(&application(name)).await?;
        ensure!(scene.get(&config_map(SET, name)).await?.is_none(), "the object of {name} outlived it");
    }
    expect_whole(&scene, SET, "set-guard-1").await?;
    stack.stop().await
}

/// How many Applications of an ApplicationSet are being deleted, found as deploy/README.md says.
async fn deleted(scene: &Scene<'_>, set: &str) -> anyhow::Result<usize> {
    let lines = r#"jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name} {.metadata.ownerReferences[0].name}{"\n"}{end}"#;
    let found = scene.stack.cluster.kubectl(&["-n", "argocd", "get", "applications", "-o", lines]).await?;
    Ok(found.lines().filter(|line| line.ends_with(&format!(" {set}"))).count())
}

#[tokio::test]
async fn an_application_set_that_is_deleted_takes_everything_along() -> anyhow::Result<()> {
    const SET: &str = "set-deleted";
    let scene = Scene::new(SET).await?;
    expand(&scene, SET).await?;
    scene.delete(&application_set(SET)).await?;
    wait_until("the garbage collector has noticed", COLLECTED, async || {
        for name in names(SET) {
            let app = scene.get(&application(&name)).await?.unwrap_or_default();
            ensure!(app.is_null() || !app["metadata"]["deletionTimestamp"].is_null(), "{name} stays");
        }
        Ok(())
    })
    .await?;
    for name in names(SET) {
        scene.gone(&application(&name)).await?;
        ensure!(scene.get(&config_map(SET, &name)).await?.is_none(), "the object of {name} outlived it");
    }
    Ok(())
}
