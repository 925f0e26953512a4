//! Order: what others need comes first, by kind, by wave, and definitions before their objects.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::scene::{Scene, annotated, application, automated, config_map, deployment, manifest};

const DEFINITION: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: boats.order.example.com
spec:
  group: order.example.com
  names: {kind: Boat, plural: boats}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

#[tokio::test]
async fn a_definition_and_its_object_come_in_one_commit() -> anyhow::Result<()> {
    let scene = Scene::new("order-definition").await?;
    let boat = "apiVersion: order.example.com/v1\nkind: Boat\nmetadata:\n  name: argo\nspec: {oars: 50}\n";
    scene.repository.write("app/boat.yaml", boat)?;
    scene.repository.write("app/definition.yaml", DEFINITION)?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add boats").await?;
    // No second attempt is needed, so none is allowed.
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("order-definition", "app", spec).await?;
    let app = scene.synced("order-definition", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    let boats = "/apis/order.example.com/v1/namespaces/order-definition/boats";
    let path = format!("{boats}/argo");
    let boat = scene.expect(&path).await?;
    ensure!(boat["spec"]["oars"] == 50, "{boat}");
    scene.delete(&path).await?;
    scene.wait(&path, "is there again", |again| again["metadata"]["uid"] != boat["metadata"]["uid"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_wave_waits_until_the_one_before_it_is_healthy() -> anyhow::Result<()> {
    let scene = Scene::new("order-waves").await?;
    let late = manifest("late", "1")
        .replace("  name: late\n", "  name: late\n  annotations:\n    argocd.argoproj.io/sync-wave: \"1\"\n");
    scene.repository.write("app/first.yaml", &deployment("first", Some("hangs")))?;
    scene.repository.write("app/late.yaml", &late)?;
    scene.repository.publish("Add two waves").await?;
    scene.create("order-waves", "app", automated()).await?;
    let name = application("order-waves");
    let waits = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Running" && state["message"].to_string().contains("first")
    };
    scene.wait(&name, "waits for the first wave", waits).await?;
    ensure!(scene.get(&config_map("order-waves", "late")).await?.is_none(), "it did not wait");
    // The next commit mends the first wave, and supersedes the operation that waits.
    scene.repository.write("app/first.yaml", &deployment("first", None))?;
    let commit = scene.repository.publish("Mend the first wave").await?;
    scene.synced("order-waves", &commit).await?;
    scene.expect(&config_map("order-waves", "late")).await?;
    Ok(())
}

/// Names and files are in the opposite order, and waves would have what is needed come last.
#[tokio::test]
async fn what_others_need_comes_first_whatever_it_is_called() -> anyhow::Result<()> {
    let scene = Scene::new("order-kinds").await?;
    let wave = |number: &'static str| [("argocd.argoproj.io/sync-wave", number)];
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: order-kinds\n";
    let definition = DEFINITION.replace("order.example.com", "kinds.example.com");
    let boat = "apiVersion: kinds.example.com/v1\nkind: Boat\nmetadata:\n  name: a\n";
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: b\nrules: []\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: d\n";
    let write = |file: &str, text: &str| scene.repository.write(&format!("app/{file}.yaml"), text);
    write("a", boat)?;
    write("b", role)?;
    write("c", &manifest("c", "1"))?;
    write("d", secret)?;
    write("e", &annotated(&definition, &wave("3")))?;
    write("f", &annotated(namespace, &wave("5")))?;
    write("g", &annotated(&manifest("skipped", "1"), &[("argocd.argoproj.io/hook", "Skip")]))?;
    let commit = scene.repository.publish("Add what needs each other").await?;
    let mut spec = automated();
    spec["syncPolicy"]["syncOptions"] = json!([]);
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("order-kinds", "app", spec).await?;
    let app = scene.synced("order-kinds", &commit).await?;
    let mut versions = Vec::new();
    for place in [
        "/api/v1/namespaces/order-kinds/secrets/d",
        "/api/v1/namespaces/order-kinds/configmaps/c",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/order-kinds/roles/b",
        "/apis/kinds.example.com/v1/namespaces/order-kinds/boats/a",
    ] {
        let object = scene.expect(place).await?;
        let version = object["metadata"]["resourceVersion"].as_str().context("no version")?;
        versions.push(version.parse::<u64>()?);
    }
    ensure!(versions.is_sorted(), "{versions:?}");
    // Nobody's mark is on a definition, which outlives whoever brought it.
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats.kinds.example.com";
    let metadata = &scene.expect(path).await?["metadata"];
    ensure!(metadata["annotations"]["argocd.argoproj.io/tracking-id"].is_null(), "{metadata}");
    // What is to be skipped is not made, and not missed.
    ensure!(scene.get(&config_map("order-kinds", "skipped")).await?.is_none(), "it was applied");
    let resources = &app["status"]["resources"];
    ensure!(!resources.to_string().contains("skipped"), "{resources}");
    Ok(())
}
