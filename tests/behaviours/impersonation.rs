//! Impersonation: where the installation wants it, a sync may do what the account of its project may do, and no more; and
//! so may the deletion of an Application.

use anyhow::ensure;
use ithaca_tests::{Stack, wait_until};
use serde_json::{Value, json};

use crate::scene::{DEADLINE, PROJECTS, Scene, application, automated, config_map, manifest, project};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/acting";

/// On a stack of its own, for the setting is the installation's.
#[tokio::test]
async fn a_sync_and_a_deletion_act_as_the_account_of_their_project() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "acting").await?;
    let setting = json!({"application.sync.impersonation.enabled": "true"});
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": setting,
        "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
    });
    scene.post("/api/v1/namespaces/argocd/configmaps", &settings).await?;
    let accounts = json!([{"server": "*", "namespace": "acting", "defaultServiceAccount": "deployer"}]);
    scene.post(PROJECTS, &project("acting", &json!({"destinationServiceAccounts": accounts}))).await?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "acting"}});
    scene.post("/api/v1/namespaces", &namespace).await?;
    let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]});
    let role = json!({"metadata": {"name": "deployer"}, "rules": [rule]});
    scene.post(&format!("{RBAC}/roles"), &role).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add settings").await?;
    scene.create("acting", "app", of_project()).await?;
    let message = failed(&scene, "acting").await?;
    ensure!(message.contains("system:serviceaccount:acting:deployer"), "{message}");
    ensure!(scene.get(&config_map("acting", "settings")).await?.is_none(), "it was applied all the same");

    scene.create("acting-elsewhere", "app", of_project()).await?;
    let message = failed(&scene, "acting-elsewhere").await?;
    ensure!(message.contains("no matching service account found for destination server"), "{message}");

    let subject = json!({"kind": "ServiceAccount", "name": "deployer", "namespace": "acting"});
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"});
    let binding = json!({"metadata": {"name": "deployer"}, "subjects": [subject], "roleRef": role});
    scene.post(&format!("{RBAC}/rolebindings"), &binding).await?;
    is_let(&scene, "patch", true).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let commit = scene.repository.publish("Change settings").await?;
    scene.synced("acting", &commit).await?;
    ensure!(scene.expect(&config_map("acting", "settings")).await?["data"]["value"] == "2");

    let may =
        |verbs: Value| json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]});
    scene.patch(&format!("{RBAC}/roles/deployer"), may(json!(["create", "patch"]))).await?;
    is_let(&scene, "delete", false).await?;
    let finalizers = json!(["resources-finalizer.argocd.argoproj.io"]);
    scene.patch(&application("acting"), json!({"metadata": {"finalizers": finalizers}})).await?;
    scene.delete(&application("acting")).await?;
    let refused = |app: &Value| {
        let condition = &app["status"]["conditions"][0];
        let message = condition["message"].to_string();
        condition["type"] == "DeletionError" && message.contains("system:serviceaccount:acting:deployer")
    };
    scene.wait(&application("acting"), "tells of the refusal", refused).await?;
    scene.expect(&config_map("acting", "settings")).await?;
    scene.patch(&format!("{RBAC}/roles/deployer"), may(json!(["delete"]))).await?;
    scene.gone(&application("acting")).await?;
    scene.gone(&config_map("acting", "settings")).await?;
    stack.stop().await
}

/// Waits until the API server, which follows its roles, lets the account do this to ConfigMaps, or does not any more.
async fn is_let(scene: &Scene<'_>, verb: &str, wanted: bool) -> anyhow::Result<()> {
    let attributes = json!({"namespace": "acting", "verb": verb, "resource": "configmaps"});
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": "system:serviceaccount:acting:deployer", "resourceAttributes": attributes},
    });
    let client = scene.stack.cluster.client().await?;
    wait_until(&format!("{verb} is permitted: {wanted}"), DEADLINE, async || {
        let request = http::Request::post("/apis/authorization.k8s.io/v1/subjectaccessreviews");
        let request =
            request.header("Content-Type", "application/json").body(serde_json::to_vec(&review)?)?;
        let answer: Value = client.request(request).await?;
        ensure!(answer["status"]["allowed"] == wanted, "{}", answer["status"]);
        Ok(())
    })
    .await
}

fn of_project() -> Value {
    let mut spec = automated();
    spec["project"] = json!("acting");
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    spec
}

async fn failed(scene: &Scene<'_>, name: &str) -> anyhow::Result<String> {
    let failed = |app: &Value| app["status"]["operationState"]["phase"] == "Failed";
    let app = scene.wait(&application(name), "has failed", failed).await?;
    Ok(app["status"]["operationState"]["message"].as_str().unwrap_or_default().to_owned())
}
