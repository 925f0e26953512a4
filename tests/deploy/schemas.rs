//! Every object of the chart is one that Kubernetes knows, over a matrix of values.
//!
//! The schemas are those of the API server that the tests run, made strict: a field that it does not know is an error.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::{EmptyCluster, Progress, Tools};
use serde_json::{Map, Value, json};

use crate::template::text;

/// Values that between them reach every branch of the templates.
const MATRIX: [(&str, &str); 8] = [
    ("nothing", "{}"),
    (
        "small",
        "fullnameOverride: argocd\nserver: {ingress: {enabled: true, hostname: a.example.org, tls: true, extraHosts: [{name: b.example.org, path: /}]}}",
    ),
    (
        "large",
        "nats: {tokenSecret: bus, replicas: 3, storage: {size: 5Gi, storageClassName: fast}}\nrenderer: {replicas: 3}\napplier: {replicas: 2}\nconsole: {replicas: 2}\nnotifier: {replicas: 2}",
    ),
    (
        "placed",
        "global: {nodeSelector: {disk: ssd}, imagePullSecrets: [{name: a}], podAnnotations: {a: b}, podLabels: {c: d}, affinity: {nodeAffinity: {}}}\nwatcher: {nodeSelector: {a: b}, tolerations: [{key: x, operator: Exists}], env: [{name: HTTPS_PROXY, value: 'http://proxy:3128'}]}",
    ),
    (
        "told",
        "notifier: {webhooks: [{name: chat, url: 'https://chat.example.org/$TOKEN'}], webhookSecret: tokens}\notlpEndpoint: collector:4317\nmonitoring: {dashboards: {enabled: true}, serviceMonitor: {enabled: true}, rules: {enabled: true}}",
    ),
    (
        "plugins",
        "renderer: {plugins: [{name: a, image: 'a:1', discover: ['*.a']}, {name: b, image: 'b:1', command: [b], args: [c], env: [{name: D, value: e}], resources: {limits: {memory: 1Gi}}, tmpSize: 2Gi, pullPolicy: Always}]}",
    ),
    (
        "own bus",
        "nats: {url: 'nats://a:4222,nats://b:4223', credentialsSecret: creds}\nnetworkPolicy: {create: true}",
    ),
    (
        "bare",
        "networkPolicy: {create: false}\npriorityClass: {create: false}\npodDisruptionBudget: {enabled: false}\nconfigs: {cm: {create: false}, params: {create: false}, rbac: {create: false}, secret: {createSecret: false}}",
    ),
];
/// Kinds that no Kubernetes has by itself.
const FOREIGN: &str = "ServiceMonitor,PrometheusRule,Application,AppProject";

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_knows_every_field_of_every_object() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let folder = cluster.dir.join("schemas");
    let published =
        cluster.cluster.get("/openapi/v2").await?.context("the API server publishes no schemas")?;
    write_schemas(&published, &folder)?;
    for (name, values) in MATRIX {
        let rendered = text(values, &[])?;
        check(&rendered, &folder).with_context(|| format!("values \"{name}\""))?;
    }
    // The check can fail.
    let wrong = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: []}\n";
    let error = check(wrong, &folder).err().context("a wrong field is taken")?;
    ensure!(error.to_string().contains("port"), "{error:#}");
    Ok(())
}

fn check(manifests: &str, schemas: &Path) -> anyhow::Result<()> {
    let checks = Tools::checks(&Progress::silent())?;
    let file = schemas.join("manifests.yaml");
    std::fs::write(&file, manifests)?;
    let location = format!("{}/{{{{.ResourceKind}}}}-{{{{.ResourceAPIVersion}}}}.json", schemas.display());
    let output = Command::new(checks.path("kubeconform"))
        .args(["-strict", "-verbose", "-skip", FOREIGN, "-schema-location", &location])
        .arg(&file)
        .output()
        .context("failed to start kubeconform")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let bad: Vec<_> =
        said.lines().filter(|line| !line.contains(" is valid") && !line.contains("skipped")).collect();
    ensure!(output.status.success(), "{}", bad.join("\n"));
    Ok(())
}

/// One file for each kind, all referring to one file of definitions.
fn write_schemas(published: &Value, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let definitions = published["definitions"].as_object().context("no definitions")?;
    let mut strict = Map::new();
    for (name, definition) in definitions {
        let mut definition = definition.clone();
        make_strict(name, &mut definition);
        strict.insert(name.clone(), definition);
        for kind in definitions[name]["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |field: &str| kind[field].as_str().unwrap_or_default().to_lowercase();
            let file = folder.join(format!("{}-{}.json", text("kind"), text("version")));
            let reference = json!({"$ref": format!("definitions.json#/definitions/{name}")});
            std::fs::write(file, reference.to_string())?;
        }
    }
    std::fs::write(folder.join("definitions.json"), json!({"definitions": strict}).to_string())?;
    Ok(())
}

fn make_strict(name: &str, definition: &mut Value) {
    if name.ends_with(".IntOrString") || name.ends_with(".Quantity") {
        *definition = json!({"type": ["string", "integer", "number"]});
        return;
    }
    if definition["properties"].is_object() && !name.contains("JSONSchemaProps") {
        definition["additionalProperties"] = json!(false);
    }
}
