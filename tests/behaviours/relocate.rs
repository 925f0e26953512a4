//! Relocate: objects that change their Application, their namespace or their definition end where Git has them.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn an_object_may_move_to_another_application_in_one_commit() -> anyhow::Result<()> {
    let scene = Scene::new("relocate").await?;
    scene.repository.write("one/moves.yaml", &manifest("moves", "1"))?;
    scene.repository.write("one/stays.yaml", &manifest("stays", "1"))?;
    scene.repository.write("two/other.yaml", &manifest("other", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    for (name, path) in [("relocate", "one"), ("relocate-two", "two")] {
        let mut spec = automated();
        spec["destination"] = json!({"namespace": "relocate"});
        scene.create(name, path, spec).await?;
        scene.synced(name, &first).await?;
    }
    scene.repository.git(&["mv", "one/moves.yaml", "two/moves.yaml"]).await?;
    let second = scene.repository.publish("Move one").await?;
    scene.synced("relocate", &second).await?;
    let is_owned = |object: &Value| {
        let id = &object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
        id == "relocate-two:/ConfigMap:relocate/moves" && object["metadata"]["deletionTimestamp"].is_null()
    };
    scene.wait(&config_map("relocate", "moves"), "belongs to the other", is_owned).await?;
    scene.refresh("relocate", "normal").await?;
    scene.synced("relocate-two", &second).await?;
    scene.wait(&config_map("relocate", "moves"), "still belongs to the other", is_owned).await?;
    Ok(())
}

#[tokio::test]
async fn another_destination_namespace_takes_the_objects_along() -> anyhow::Result<()> {
    let scene = Scene::new("relocate-namespace").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("relocate-namespace", "app", automated()).await?;
    scene.synced("relocate-namespace", &commit).await?;
    let elsewhere = json!({"spec": {"destination": {"namespace": "relocate-elsewhere"}}});
    scene.patch(&application("relocate-namespace"), elsewhere).await?;
    let is_there = |object: &Value| object["data"]["value"] == "1";
    scene.wait(&config_map("relocate-elsewhere", "settings"), "is there", is_there).await?;
    scene.gone(&config_map("relocate-namespace", "settings")).await?;
    Ok(())
}

#[tokio::test]
async fn an_object_of_the_whole_cluster_comes_and_goes() -> anyhow::Result<()> {
    let scene = Scene::new("relocate-cluster").await?;
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: relocate-role\n  \
         namespace: ignored\nrules:\n- apiGroups: ['']\n  resources: [pods]\n  verbs: [get]\n";
    scene.repository.write("app/role.yaml", role)?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add a role").await?;
    scene.create("relocate-cluster", "app", automated()).await?;
    scene.synced("relocate-cluster", &first).await?;
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/relocate-role";
    let role = scene.expect(path).await?;
    let id = &role["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
    let wanted = "relocate-cluster:rbac.authorization.k8s.io/ClusterRole:relocate-cluster/relocate-role";
    ensure!(id == wanted, "{id}");
    scene.repository.remove("app/role.yaml")?;
    let second = scene.repository.publish("Remove the role").await?;
    scene.synced("relocate-cluster", &second).await?;
    scene.gone(path).await
}

#[tokio::test]
async fn a_kind_that_another_application_brings_is_used_when_it_is_there() -> anyhow::Result<()> {
    let scene = Scene::new("relocate-kind").await?;
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  \
         name: oars.relocate.example.com\nspec:\n  group: relocate.example.com\n  names: {kind: Oar, plural: oars}\n  \
         scope: Namespaced\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema:\n      \
         openAPIV3Schema: {type: object}\n";
    let oar = "apiVersion: relocate.example.com/v1\nkind: Oar\nmetadata:\n  name: left\n";
    scene.repository.write("user/oar.yaml", oar)?;
    scene.repository.write("owner/definition.yaml", definition)?;
    let commit = scene.repository.publish("Add oars").await?;
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": -1, "backoff": {"duration": "1s", "maxDuration": "1s"}});
    scene.create("relocate-kind", "user", spec).await?;
    let fails = |app: &Value| app["status"]["operationState"]["message"].to_string().contains("Oar");
    scene.wait(&application("relocate-kind"), "misses the kind", fails).await?;
    scene.create("relocate-kind-owner", "owner", automated()).await?;
    scene.synced("relocate-kind-owner", &commit).await?;
    let app = scene.synced("relocate-kind", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    scene.expect("/apis/relocate.example.com/v1/namespaces/relocate-kind/oars/left").await?;
    Ok(())
}
