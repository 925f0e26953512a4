//! Where a project asks for provenance files, a chart is applied only with one that a permitted key signed for this very
//! archive, name and version; what was good before stays, and the condition says why.

use ithaca_tests::{ChartRepository, OciRegistry};
use serde_json::{Value, json};

use crate::integrity::{KEYS, openpgp_key};
use crate::oci_sources::reach;
use crate::scene::{PROJECTS, Scene, of_project, project};

const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  value: {{ .Chart.Version | quote }}
";

fn asks(repository: &str, key: &str) -> Value {
    let policy = json!({"repos": [repository], "provenance": {"keys": [key]}});
    json!({"sourceIntegrity": {"helm": {"policies": [policy]}}})
}

fn of(name: &str, repository: &str) -> Value {
    let mut spec = of_project(name);
    spec["source"] = json!({"repoURL": repository, "path": null, "chart": "web", "targetRevision": "^1"});
    spec
}

#[tokio::test]
async fn a_chart_of_a_helm_repository_comes_with_its_provenance() -> anyhow::Result<()> {
    let scene = Scene::new("provenance").await?;
    let (home, elsewhere) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (id, public) = openpgp_key(home.path())?;
    let (other, other_public) = openpgp_key(elsewhere.path())?;
    let charts = ChartRepository::start(None)?;
    let publish =
        |version: &str, more: &str| charts.publish("web", version, more, &[("templates/a.yaml", TEMPLATE)]);
    let url = format!("http://{}", charts.host);
    scene.post(PROJECTS, &project("provenance", &asks(&url, &id))).await?;
    publish("1.0.0", "")?;
    scene.create("provenance", "", of("provenance", &url)).await?;
    scene.refused("provenance", &["1.0.0", "has no provenance file", &id]).await?;
    charts.sign("web", "Ada", &home.path().join("secret.gpg"))?;
    scene.refresh("provenance", "normal").await?;
    scene.refused("provenance", &[&id[24..], KEYS]).await?;
    scene.add_entry(KEYS, &id[24..], &public).await?;
    scene.synced("provenance", "1.0.0").await?;
    scene.is_applied("provenance", "1.0.0").await?;

    // Signed by somebody else, then by nobody in this form: the archive was replaced.
    scene.add_entry(KEYS, &other[24..], &other_public).await?;
    publish("1.1.0", "")?;
    charts.sign("web", "Ada", &elsewhere.path().join("secret.gpg"))?;
    scene.refresh("provenance", "normal").await?;
    scene.refused("provenance", &[&other[24..], "does not permit"]).await?;
    charts.sign("web", "Ada", &home.path().join("secret.gpg"))?;
    publish("1.1.0", "description: another\n")?;
    scene.refresh("provenance", "normal").await?;
    scene.refused("provenance", &["1.1.0", "names no archive with the digest"]).await?;
    scene.is_applied("provenance", "1.0.0").await?;
    charts.sign("web", "Ada", &home.path().join("secret.gpg"))?;
    scene.refresh("provenance", "normal").await?;
    scene.synced("provenance", "1.1.0").await?;
    scene.is_applied("provenance", "1.1.0").await
}

#[tokio::test]
async fn a_chart_of_a_registry_has_its_provenance_within() -> anyhow::Result<()> {
    let scene = Scene::new("oci-provenance").await?;
    let home = tempfile::tempdir()?;
    let (id, public) = openpgp_key(home.path())?;
    let (registry, charts) = (OciRegistry::start().await?, ChartRepository::start(None)?);
    reach(&scene, "oci-provenance", &registry.host).await?;
    scene.add_entry(KEYS, &id[24..], &public).await?;
    let url = format!("{}/charts", registry.host);
    scene.post(PROJECTS, &project("oci-provenance", &asks("*", &id))).await?;
    let archive = charts.pack("web", "1.0.0", "", &[("templates/a.yaml", TEMPLATE)])?;
    charts.sign("web", "Ada", &home.path().join("secret.gpg"))?;
    registry.push_chart(&archive, "charts")?;
    scene.create("oci-provenance", "", of("oci-provenance", &url)).await?;
    scene.synced("oci-provenance", "1.0.0").await?;
    let archive = charts.pack("web", "1.1.0", "", &[("templates/a.yaml", TEMPLATE)])?;
    registry.push_chart(&archive, "charts")?;
    scene.refresh("oci-provenance", "normal").await?;
    scene.refused("oci-provenance", &["1.1.0", "has no provenance file"]).await?;
    scene.is_applied("oci-provenance", "1.0.0").await
}
