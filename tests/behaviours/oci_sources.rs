//! Charts and plain manifests in an OCI registry are installed by tag, by range and by digest; a manifest that lies is
//! a condition of who wants it.

use std::process::Command;

use anyhow::ensure;
use ithaca_tests::{ChartRepository, LOGIN, OciRegistry, fresh_folder};
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
data:
  version: {{ .Chart.Version | quote }}
";

#[tokio::test]
async fn a_chart_in_a_registry_is_installed_by_version_and_range() -> anyhow::Result<()> {
    let scene = Scene::new("oci-chart").await?;
    let (registry, charts) = (OciRegistry::start().await?, ChartRepository::start(None)?);
    let push = |version: &str| {
        let archive = charts.pack("web", version, "", &[("templates/a.yaml", TEMPLATE)])?;
        registry.push_chart(&archive, "charts")
    };
    push("1.0.0+build")?;
    push("2.0.0")?;
    let url = format!("{}/charts", registry.host);
    reach(&scene, "oci-chart", &registry.host).await?;
    for (name, revision, version) in
        [("oci-chart", "^1", "1.0.0+build"), ("oci-chart-exact", "2.0.0", "2.0.0")]
    {
        let source = json!({"repoURL": url, "path": null, "chart": "web", "targetRevision": revision});
        scene.create(name, "", with_source(source)).await?;
        scene.synced(name, version).await?;
        let is_it = |object: &Value| object["data"]["version"] == version;
        scene.wait(&config_map(name, "web"), "is of the version", is_it).await?;
    }
    push("1.1.0")?;
    scene.refresh("oci-chart", "normal").await?;
    scene.synced("oci-chart", "1.1.0").await.map(drop)
}

#[tokio::test]
async fn manifests_in_a_registry_are_installed_by_tag_range_and_digest() -> anyhow::Result<()> {
    let scene = Scene::new("oci-files").await?;
    let registry = OciRegistry::start().await?;
    let first = registry.push_layer("team/app", "1.0.0", &packed("one")?).await?;
    let second = registry.push_layer("team/app", "1.1.0", &packed("two")?).await?;
    let url = format!("oci://{}/team/app", registry.host);
    reach(&scene, "oci-files", &registry.host).await?;
    for (name, revision, digest, value) in [
        ("oci-tag", "1.0.0", &first, "one"),
        ("oci-range", "1.x", &second, "two"),
        ("oci-digest", first.as_str(), &first, "one"),
    ] {
        let source = json!({"repoURL": url, "path": "app", "targetRevision": revision});
        scene.create(name, "app", with_source(source)).await?;
        scene.synced(name, digest).await?;
        let is_it = |object: &Value| object["data"]["value"] == value;
        scene.wait(&config_map(name, "settings"), "is of the revision", is_it).await?;
    }
    let moved = registry.push_layer("team/app", "1.0.0", &packed("three")?).await?;
    scene.refresh("oci-tag", "normal").await?;
    scene.synced("oci-tag", &moved).await.map(drop)
}

#[tokio::test]
async fn a_manifest_that_lies_is_a_condition_of_who_wants_it() -> anyhow::Result<()> {
    let scene = Scene::new("oci-lies").await?;
    let registry = OciRegistry::start().await?;
    let good = registry.push_layer("team/lies", "1.0.0", &packed("good")?).await?;
    let content = packed("bad")?;
    let layer = registry.blob("team/lies", "application/vnd.oci.image.layer.v1.tar+gzip", &content).await?;
    let lie = |field: &str, value: Value| {
        let mut lie = layer.clone();
        lie[field] = value;
        lie
    };
    registry.push_manifest("team/lies", "2.0.0", &[lie("size", json!(content.len() - 1))]).await?;
    registry.push_manifest("team/lies", "3.0.0", &[lie("size", json!(content.len() + 1))]).await?;
    registry.push_manifest("team/lies", "4.0.0", &[lie("mediaType", json!("application/x-tar"))]).await?;
    let url = format!("oci://{}/team/lies", registry.host);
    reach(&scene, "oci-lies", &registry.host).await?;
    for (name, tag, reason) in [
        ("oci-lies-short", "2.0.0", "its manifest says"),
        ("oci-lies-long", "3.0.0", "its manifest says"),
        ("oci-lies-type", "4.0.0", "application/x-tar"),
        ("oci-lies-none", "9.0.0", "none of its 4 versions matches"),
    ] {
        scene
            .create(name, "app", with_source(json!({"repoURL": url, "path": "app", "targetRevision": tag})))
            .await?;
        let told = |app: &Value| {
            let condition = &app["status"]["conditions"][0];
            condition["type"] == "ComparisonError" && condition["message"].to_string().contains(reason)
        };
        let app = scene.wait(&application(name), "tells what is wrong", told).await?;
        let message = app["status"]["conditions"].to_string();
        ensure!(!message.contains("p:ss"), "a password is in {message}");
    }
    let source = json!({"repoURL": url, "path": "app", "targetRevision": "1.0.0"});
    scene.create("oci-lies-good", "app", with_source(source)).await?;
    scene.synced("oci-lies-good", &good).await.map(drop)
}

/// Tells of a registry without TLS and of its user, as people tell Argo CD.
pub async fn reach(scene: &Scene<'_>, name: &str, host: &str) -> anyhow::Result<()> {
    let (username, password) = LOGIN;
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": "repo-creds"}},
        "stringData": {"url": host, "type": "helm", "enableOCI": "true", "insecureOCIForceHttp": "true",
                       "username": username, "password": password},
    });
    scene.post("/api/v1/namespaces/argocd/secrets", &secret).await
}

/// A packed folder `app` with one ConfigMap.
pub fn packed(value: &str) -> anyhow::Result<Vec<u8>> {
    let folder = fresh_folder()?;
    std::fs::create_dir_all(folder.join("app"))?;
    std::fs::write(folder.join("app/settings.yaml"), manifest("settings", value))?;
    let tar = Command::new("tar")
        .args(["--create", "--gzip", "--file", "-", "app"])
        .current_dir(&folder)
        .output()?;
    ensure!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    Ok(tar.stdout)
}

fn with_source(source: Value) -> Value {
    let mut spec = automated();
    spec["source"] = source;
    spec
}
