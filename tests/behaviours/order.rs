//! Order: what others need comes first, by kind, by wave, and definitions before their objects.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, deployment, manifest};

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
