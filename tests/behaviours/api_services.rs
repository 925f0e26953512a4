//! Kinds that an API service brings, which another server serves, are followed like all others once they are there.

use anyhow::ensure;
use ithaca_tests::wait_until;
use serde_json::{Value, json};

use crate::remote::{Remote, SECRETS, by_name};
use crate::scene::{DEADLINE, Scene, application, manifest};

/// In the cluster that serves the kind, to whoever asks.
const SERVED: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.extended.example}
spec:
  group: extended.example
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: everybody}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:unauthenticated"}]
---
apiVersion: v1
kind: Namespace
metadata: {name: api-service}
"#;

/// In the cluster that has it from there.
const BROUGHT: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: extended}
---
apiVersion: v1
kind: Service
metadata: {name: extended, namespace: extended}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.extended.example}
spec:
  group: extended.example
  version: v1
  groupPriorityMinimum: 1000
  versionPriority: 10
  insecureSkipTLSVerify: true
  service: {name: extended, namespace: extended, port: PORT}
"#;

const GADGET: &str =
    "{apiVersion: extended.example/v1, kind: Gadget, metadata: {name: gadget}, spec: {size: 1}}\n";
const GADGETS: &str = "/apis/extended.example/v1/namespaces/api-service/gadgets/gadget";

#[tokio::test]
async fn an_object_of_a_kind_that_an_api_service_brings_waits_for_it_and_is_kept() -> anyhow::Result<()> {
    let scene = Scene::new("api-service").await?;
    let (cluster, server) = tokio::try_join!(
        Remote::start(scene.stack, "api-service"),
        Remote::start(scene.stack, "api-service-server")
    )?;
    server.cluster.apply(SERVED).await?;
    server.cluster.lists("gadgets.extended.example").await?;
    scene.repository.write("app/gadget.yaml", GADGET)?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add a gadget").await?;
    scene.post(SECRETS, &cluster.secret("api-service", "admin")).await?;
    scene.create("api-service", "app", by_name("api-service")).await?;
    let unknown = "the cluster does not serve extended.example/v1 Gadget";
    let is_told = |app: &Value| app["status"].to_string().contains(unknown);
    scene.wait(&application("api-service"), "is told that the kind is unknown", is_told).await?;

    let (_, port) = server.server.rsplit_once(':').unwrap_or_default();
    let brought = BROUGHT.replace("PORT", port);
    cluster.cluster.apply(&brought).await?;
    scene.synced("api-service", &commit).await?;
    let first = server.cluster.get(GADGETS).await?;
    ensure!(first.is_some_and(|gadget| gadget["spec"]["size"] == 1), "it is not there");

    server.cluster.kubectl(&["delete", "gadget", "gadget", "--namespace=api-service"]).await?;
    wait_until("it is there again", DEADLINE, async || {
        ensure!(server.cluster.get(GADGETS).await?.is_some(), "it is gone");
        Ok(())
    })
    .await?;

    // Nobody tries anything, and so finds out, where nothing is automated.
    let by_hand = json!({"spec": {"syncPolicy": {"automated": null}}});
    scene.patch(&application("api-service"), by_hand).await?;
    cluster.cluster.kubectl(&["delete", "apiservice", "v1.extended.example"]).await?;
    let is_missed = |app: &Value| app["status"]["sync"]["status"] == "OutOfSync";
    scene.wait(&application("api-service"), "misses the gadget", is_missed).await?;
    cluster.cluster.apply(&brought).await?;
    scene.synced("api-service", &commit).await.map(drop)
}
