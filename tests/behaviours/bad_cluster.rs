//! Trouble in the cluster: a webhook that nobody serves, that never answers or that denies everything, a definition that
//! goes, or a version of it. It is told on the
//! Applications that it is about, everybody else goes on, and once it is over all is as Git says.

use std::pin::pin;

use anyhow::ensure;
use futures::StreamExt;
use ithaca_tests::{Denial, wait_until};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::scene::{DEADLINE, Scene, application, automated, config_map, manifest};

const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

#[tokio::test]
async fn a_webhook_that_nobody_serves() -> anyhow::Result<()> {
    let scene = Scene::new("webhook-away").await?;
    let client = json!({"url": "https://127.0.0.1:1/"});
    obstructs(&scene, "webhook-away", &client, "failed calling webhook").await
}

#[tokio::test]
async fn a_webhook_that_never_answers() -> anyhow::Result<()> {
    let scene = Scene::new("webhook-hangs").await?;
    // It takes connections, and says nothing on them.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = json!({"url": format!("https://{}/", listener.local_addr()?)});
    obstructs(&scene, "webhook-hangs", &client, "failed calling webhook").await
}

#[tokio::test]
async fn a_webhook_that_denies_everything() -> anyhow::Result<()> {
    let scene = Scene::new("webhook-denies").await?;
    let denial = Denial::start("nothing changes today").await?;
    let client = json!({"url": denial.url, "caBundle": denial.authority});
    obstructs(&scene, "webhook-denies", &client, "denied the request: nothing changes today").await
}

/// A webhook that is asked about every ConfigMap of one namespace and lets none pass; `words` are those of the API server.
async fn obstructs(scene: &Scene<'_>, name: &str, client: &Value, words: &str) -> anyhow::Result<()> {
    let neighbour = format!("{name}-neighbour");
    let both = |value: &str| -> anyhow::Result<()> {
        scene.repository.write("app/settings.yaml", &manifest("settings", value))?;
        scene.repository.write("app/more.yaml", &manifest("more", value))?;
        scene.repository.write("neighbour/settings.yaml", &manifest("settings", value))
    };
    both("1")?;
    let first = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": -1, "backoff": {"duration": "1s", "maxDuration": "1s"}});
    scene.create(name, "app", spec.clone()).await?;
    scene.create(&neighbour, "neighbour", spec).await?;
    scene.synced(name, &first).await?;
    scene.synced(&neighbour, &first).await?;

    scene.post(WEBHOOKS, &webhook(name, client)).await?;
    let settings = config_map(name, "settings");
    let probe = ["label", "configmap", "settings", "-n", name, "probe=1", "--dry-run=server"];
    wait_until("the webhook is asked", DEADLINE, async || {
        let answer = scene.stack.cluster.kubectl(&probe).await;
        let refused = answer.as_ref().is_err_and(|error| format!("{error:#}").contains(words));
        ensure!(refused, "it says {answer:?}");
        Ok(())
    })
    .await?;
    both("2")?;
    let second = scene.repository.publish("Change settings").await?;
    let app = scene.told(name, "SyncError", words).await?;
    ensure!(app["status"]["conditions"].to_string().contains("obstacle.example.com"), "{}", app["status"]);
    scene.synced(&neighbour, &second).await?;
    ensure!(scene.expect(&settings).await?["data"]["value"] == "1", "the webhook was passed by");

    scene.delete(&format!("{WEBHOOKS}/{name}")).await?;
    let app = scene.synced(name, &second).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    ensure!(scene.expect(&settings).await?["data"]["value"] == "2");
    Ok(())
}

fn webhook(namespace: &str, client: &Value) -> Value {
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"],
    });
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [{
            "name": "obstacle.example.com",
            "clientConfig": client,
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "timeoutSeconds": 2,
            "admissionReviewVersions": ["v1"],
        }],
    })
}

#[tokio::test]
async fn a_definition_that_is_deleted_under_its_objects() -> anyhow::Result<()> {
    let scene = Scene::new("definition-gone").await?;
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "rafts.gone.example.com"},
        "spec": {
            "group": "gone.example.com",
            "names": {"kind": "Raft", "plural": "rafts"},
            "scope": "Namespaced",
            "versions": [version],
        },
    });
    scene.post(DEFINITIONS, &definition).await?;
    let raft = "apiVersion: gone.example.com/v1\nkind: Raft\nmetadata:\n  name: medusa\n";
    scene.repository.write("app/raft.yaml", raft)?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add a raft").await?;
    let mut spec = automated();
    // While the definition goes, its objects are gone already and cannot be made again.
    spec["syncPolicy"]["retry"] = json!({"limit": 20, "backoff": {"duration": "1s", "maxDuration": "1s"}});
    scene.create("definition-gone", "app", spec).await?;
    scene.synced("definition-gone", &first).await?;
    let path = "/apis/gone.example.com/v1/namespaces/definition-gone/rafts/medusa";
    let before = scene.expect(path).await?;

    let definitions = format!("{DEFINITIONS}/rafts.gone.example.com");
    scene.delete(&definitions).await?;
    scene.gone(&definitions).await?;
    let told = |app: &Value| {
        let conditions = app["status"]["conditions"].to_string();
        app["status"]["sync"]["status"] == "OutOfSync" && conditions.contains("Raft")
    };
    scene.wait(&application("definition-gone"), "tells of the kind", told).await?;
    // Its other objects are kept as Git has them.
    let settings = config_map("definition-gone", "settings");
    scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
    scene.wait(&settings, "is as it was", |object| object["data"]["value"] == "1").await?;

    scene.post(DEFINITIONS, &definition).await?;
    let again = |object: &Value| object["metadata"]["uid"] != before["metadata"]["uid"];
    wait_until("the raft is there again", DEADLINE, async || {
        let object = scene.expect(path).await?;
        ensure!(again(&object), "it is the old one");
        Ok(())
    })
    .await?;
    let app = scene.synced("definition-gone", &first).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}

/// Whoever followed a kind at a version that is not served any more went on asking for that one.
#[tokio::test]
async fn a_version_that_is_served_no_more() -> anyhow::Result<()> {
    let scene = Scene::new("version-gone").await?;
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let versions = |old: bool| {
        let version = |name: &str, served: bool, storage: bool| json!({"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema}});
        json!([version("v1alpha1", old, false), version("v1", true, true)])
    };
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "kayaks.version.example.com"},
        "spec": {
            "group": "version.example.com",
            "names": {"kind": "Kayak", "plural": "kayaks"},
            "scope": "Namespaced",
            "versions": versions(true),
        },
    });
    scene.post(DEFINITIONS, &definition).await?;
    let kayak = |version: &str| {
        format!("apiVersion: version.example.com/{version}\nkind: Kayak\nmetadata:\n  name: medusa\n")
    };
    scene.repository.write("app/kayak.yaml", &kayak("v1alpha1"))?;
    let first = scene.repository.publish("Add a kayak").await?;
    scene.create("version-gone", "app", automated()).await?;
    scene.synced("version-gone", &first).await?;
    scene.repository.write("app/kayak.yaml", &kayak("v1"))?;
    let second = scene.repository.publish("Use the version that stays").await?;
    scene.synced("version-gone", &second).await?;

    // Who watches the old version is cut off a while after it is not served any more.
    let client = scene.stack.cluster.client().await?;
    let watch = http::Request::get("/apis/version.example.com/v1alpha1/kayaks?watch=true").body(Vec::new())?;
    let mut watch = pin!(client.request_events::<Value>(watch).await?);
    let path = format!("{DEFINITIONS}/kayaks.version.example.com");
    scene.patch(&path, json!({"spec": {"versions": versions(false)}})).await?;
    while watch.next().await.is_some_and(|event| event.is_ok()) {}
    let path = "/apis/version.example.com/v1/namespaces/version-gone/kayaks/medusa";
    let before = scene.expect(path).await?;
    scene.delete(path).await?;
    wait_until("the kayak is there again", DEADLINE, async || {
        let object = scene.expect(path).await?;
        ensure!(object["metadata"]["uid"] != before["metadata"]["uid"], "it is the old one");
        Ok(())
    })
    .await?;
    let app = scene.synced("version-gone", &second).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}
