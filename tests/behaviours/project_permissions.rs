//! Projects: what an Application's project does not permit is not done, and the Application says what it would need.

use anyhow::ensure;
use ithaca_tests::{Denial, wait_until};
use serde_json::{Value, json};

use crate::scene::{DEADLINE, PROJECTS, Scene, application, config_map, manifest, of_project, project};

const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

#[tokio::test]
async fn an_application_of_a_project_that_is_not_there_waits_for_it() -> anyhow::Result<()> {
    let scene = Scene::new("no-project").await?;
    let commit = settings(&scene).await?;
    scene.create("no-project", "app", of_project("no-project")).await?;
    refused(&scene, "no-project", "Application referencing project no-project which does not exist").await?;
    scene.post(PROJECTS, &project("no-project", &json!({}))).await?;
    let app = scene.synced("no-project", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}

#[tokio::test]
async fn a_repository_that_is_not_permitted_is_not_applied() -> anyhow::Result<()> {
    let scene = Scene::new("no-source").await?;
    let commit = settings(&scene).await?;
    let fields = json!({"sourceRepos": ["https://git.example.org/*"]});
    scene.post(PROJECTS, &project("no-source", &fields)).await?;
    scene.create("no-source", "app", of_project("no-source")).await?;
    let told = format!("application repo {} is not permitted in project 'no-source'", scene.repository.url);
    refused(&scene, "no-source", &told).await?;
    ensure!(scene.get("/api/v1/namespaces/no-source").await?.is_none(), "its namespace was made");
    scene.patch(&format!("{PROJECTS}/no-source"), json!({"spec": {"sourceRepos": ["*"]}})).await?;
    scene.synced("no-source", &commit).await?;
    Ok(())
}

#[tokio::test]
async fn a_destination_that_is_not_permitted_is_not_applied_to() -> anyhow::Result<()> {
    let scene = Scene::new("no-destination").await?;
    settings(&scene).await?;
    let fields = json!({"destinations": [
        {"server": "*", "namespace": "*"},
        {"server": "*", "namespace": "!no-dest*"},
    ]});
    scene.post(PROJECTS, &project("no-destination", &fields)).await?;
    scene.create("no-destination", "app", of_project("no-destination")).await?;
    let told = "application destination server 'https://kubernetes.default.svc' and namespace 'no-destination' do not match any of the allowed destinations in project 'no-destination'";
    refused(&scene, "no-destination", told).await?;
    ensure!(scene.get("/api/v1/namespaces/no-destination").await?.is_none(), "its namespace was made");
    Ok(())
}

#[tokio::test]
async fn an_operation_with_a_kind_that_is_not_permitted_applies_nothing() -> anyhow::Result<()> {
    let scene = Scene::new("no-kind").await?;
    settings(&scene).await?;
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: key\n";
    scene.repository.write("app/secret.yaml", secret)?;
    scene.repository.publish("Add a Secret").await?;
    let fields = json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]});
    scene.post(PROJECTS, &project("no-kind", &fields)).await?;
    let mut spec = of_project("no-kind");
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("no-kind", "app", spec).await?;
    let failed = |app: &Value| app["status"]["operationState"]["phase"] == "Failed";
    let app = scene.wait(&application("no-kind"), "has failed", failed).await?;
    let message = app["status"]["operationState"]["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("one or more synchronization tasks are not valid"), "{message}");
    ensure!(message.contains("resource :Secret is not permitted in project no-kind"), "{message}");
    let of_kind = |kind: &str| {
        let resources = app["status"]["resources"].as_array().cloned().unwrap_or_default();
        resources.into_iter().find(|resource| resource["kind"] == kind).unwrap_or_default()["status"].clone()
    };
    ensure!(of_kind("Secret") == "Unknown" && of_kind("ConfigMap") == "OutOfSync", "{}", app["status"]);
    ensure!(scene.get(&config_map("no-kind", "settings")).await?.is_none(), "the other object was applied");
    Ok(())
}

#[tokio::test]
async fn a_cluster_scoped_kind_has_to_be_named() -> anyhow::Result<()> {
    let scene = Scene::new("no-namespace").await?;
    settings(&scene).await?;
    let fields = json!({"clusterResourceWhitelist": null});
    scene.post(PROJECTS, &project("no-namespace", &fields)).await?;
    let mut spec = of_project("no-namespace");
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("no-namespace", "app", spec).await?;
    let failed = |app: &Value| app["status"]["operationState"]["phase"] == "Failed";
    let app = scene.wait(&application("no-namespace"), "has failed", failed).await?;
    let message = app["status"]["operationState"]["message"].to_string();
    ensure!(message.contains("resource :Namespace is not permitted in project no-namespace"), "{message}");
    ensure!(scene.get("/api/v1/namespaces/no-namespace").await?.is_none(), "its namespace was made");
    Ok(())
}

#[tokio::test]
async fn what_a_project_no_longer_permits_is_neither_pruned_nor_deleted() -> anyhow::Result<()> {
    let scene = Scene::new("hidden").await?;
    scene.repository.write("app/kept.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: kept\n")?;
    scene.repository.write("app/pruned.yaml", &manifest("pruned", "1"))?;
    scene.repository.write("app/deleted.yaml", &manifest("deleted", "1"))?;
    let first = scene.repository.publish("Add three").await?;
    scene.post(PROJECTS, &project("hidden", &json!({}))).await?;
    scene.create("hidden", "app", of_project("hidden")).await?;
    scene.synced("hidden", &first).await?;
    let denied = json!({"spec": {"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}});
    scene.patch(&format!("{PROJECTS}/hidden"), denied).await?;
    scene
        .wait(&application("hidden"), "is OutOfSync", |app| app["status"]["sync"]["status"] == "OutOfSync")
        .await?;
    scene.repository.remove("app/kept.yaml")?;
    scene.repository.remove("app/pruned.yaml")?;
    let second = scene.repository.publish("Remove two").await?;
    let app = scene.synced("hidden", &second).await?;
    ensure!(!app["status"]["resources"].to_string().contains("kept"), "{}", app["status"]["resources"]);
    scene.gone(&config_map("hidden", "pruned")).await?;
    let kept = "/api/v1/namespaces/hidden/secrets/kept";
    scene.expect(kept).await?;
    let finalizers = json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}});
    scene.patch(&application("hidden"), finalizers).await?;
    scene.delete(&application("hidden")).await?;
    scene.gone(&application("hidden")).await?;
    scene.gone(&config_map("hidden", "deleted")).await?;
    let kept = scene.expect(kept).await?;
    ensure!(kept["metadata"]["deletionTimestamp"].is_null(), "{}", kept["metadata"]);
    Ok(())
}

#[tokio::test]
async fn a_project_with_its_finalizer_stays_until_nobody_is_of_it() -> anyhow::Result<()> {
    let scene = Scene::new("leaving").await?;
    let commit = settings(&scene).await?;
    scene.post(PROJECTS, &project("leaving", &json!({}))).await?;
    let path = format!("{PROJECTS}/leaving");
    let finalizers = json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}});
    scene.patch(&path, finalizers.clone()).await?;
    scene.create("leaving", "app", of_project("leaving")).await?;
    scene.patch(&application("leaving"), finalizers).await?;
    scene.synced("leaving", &commit).await?;
    scene.delete(&path).await?;
    // Another commit gets through: the project still counts.
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let commit = scene.repository.publish("Change settings").await?;
    scene.synced("leaving", &commit).await?;
    scene.expect(&path).await?;
    scene.delete(&application("leaving")).await?;
    scene.gone(&application("leaving")).await?;
    scene.gone(&config_map("leaving", "settings")).await?;
    scene.gone(&path).await
}

/// It was tried once, and again only when an Application changed.
#[tokio::test]
async fn a_project_that_may_not_go_yet_goes_later() -> anyhow::Result<()> {
    let scene = Scene::new("project-kept").await?;
    let path = format!("{PROJECTS}/project-kept");
    scene.post(PROJECTS, &project("project-kept", &json!({}))).await?;
    let finalizers = json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}});
    scene.patch(&path, finalizers).await?;
    let denial = Denial::start("projects are kept for the audit").await?;
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "project-kept"},
        "webhooks": [{
            "name": "kept.example.com",
            "clientConfig": {"url": denial.url, "caBundle": denial.authority},
            "rules": [{
                "apiGroups": ["argoproj.io"], "apiVersions": ["v1alpha1"], "resources": ["appprojects"],
                "operations": ["UPDATE"],
            }],
            "matchConditions": [{"name": "one", "expression": "object.metadata.name == 'project-kept'"}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    });
    scene.post(WEBHOOKS, &webhook).await?;
    let probe = ["label", "appproject", "project-kept", "-n", "argocd", "probe=1", "--dry-run=server"];
    wait_until("the webhook is asked", DEADLINE, async || {
        let answer = scene.stack.cluster.kubectl(&probe).await;
        let refused = answer.as_ref().is_err_and(|error| format!("{error:#}").contains("for the audit"));
        ensure!(refused, "it says {answer:?}");
        Ok(())
    })
    .await?;
    scene.delete(&path).await?;
    wait_until("the applier was refused", DEADLINE, async || {
        let log = std::fs::read_to_string(&scene.stack.process("applier")?.program().log)?;
        let told = log.lines().any(|line| line.contains("failed to let") && line.contains("project-kept"));
        ensure!(told, "nothing in its log");
        Ok(())
    })
    .await?;
    scene.delete(&format!("{WEBHOOKS}/project-kept")).await?;
    scene.gone(&path).await
}

#[tokio::test]
async fn an_application_that_goes_with_its_project_takes_its_objects_along() -> anyhow::Result<()> {
    let scene = Scene::new("together").await?;
    let commit = settings(&scene).await?;
    scene.post(PROJECTS, &project("together", &json!({}))).await?;
    scene.create("together", "app", of_project("together")).await?;
    let finalizers = json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}});
    scene.patch(&application("together"), finalizers).await?;
    scene.synced("together", &commit).await?;
    scene.delete(&format!("{PROJECTS}/together")).await?;
    scene.gone(&format!("{PROJECTS}/together")).await?;
    scene.delete(&application("together")).await?;
    scene.gone(&application("together")).await?;
    scene.gone(&config_map("together", "settings")).await
}

async fn settings(scene: &Scene<'_>) -> anyhow::Result<String> {
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add settings").await
}

/// Waits until an Application is told to be invalid in these words and nothing is known of it.
async fn refused(scene: &Scene<'_>, name: &str, told: &str) -> anyhow::Result<()> {
    let is_told = |app: &Value| {
        let condition = &app["status"]["conditions"][0];
        let message = condition["message"].as_str().unwrap_or_default();
        condition["type"] == "InvalidSpecError" && message.starts_with(told)
    };
    let app = scene.wait(&application(name), &format!("is told: {told}"), is_told).await?;
    let status = &app["status"];
    ensure!(status["sync"]["status"] == "Unknown" && status["health"]["status"] == "Unknown", "{status}");
    ensure!(status["operationState"].is_null(), "{status}");
    Ok(())
}
