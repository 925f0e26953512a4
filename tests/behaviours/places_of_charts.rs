//! Where a chart is, if it is not beside the index that names it: in another place, which is told who asks only where the
//! Application says so; in a registry; or behind the name that the Secret of a repository has.

use anyhow::ensure;
use ithaca_tests::{ChartRepository, LOGIN, OciRegistry};
use serde_json::{Value, json};

use crate::private_repository::{says, secret};
use crate::scene::{Scene, application, automated, config_map};

const SECRETS: &str = "/api/v1/namespaces/argocd/secrets";
const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  version: {{ .Chart.Version | quote }}
";

fn with_chart(url: &str) -> Value {
    let mut spec = automated();
    spec["source"] = json!({"repoURL": url, "path": null, "chart": "web", "targetRevision": "*"});
    spec
}

/// An index that names one archive.
fn index(url: &str) -> Vec<u8> {
    format!("apiVersion: v1\nentries:\n  web:\n  - {{name: web, version: 1.0.0, urls: ['{url}']}}\n")
        .into_bytes()
}

#[tokio::test]
async fn another_server_is_told_who_asks_only_where_the_application_says_so() -> anyhow::Result<()> {
    let scene = Scene::new("passing").await?;
    let (charts, archives) = (ChartRepository::start(Some(LOGIN))?, ChartRepository::start(Some(LOGIN))?);
    archives.publish("web", "1.0.0", "", &[("templates/a.yaml", TEMPLATE)])?;
    charts.put("index.yaml", &index(&format!("http://{}/web-1.0.0.tgz", archives.host)))?;
    let url = format!("http://{}", charts.host);
    let data = json!({"url": url, "type": "helm", "username": LOGIN.0, "password": LOGIN.1});
    scene.post(SECRETS, &secret("passing", "repository", &data)).await?;
    scene.create("passing", "", with_chart(&url)).await?;
    let path = application("passing");
    scene.wait(&path, "is refused", says("its archive cannot be had: the server refuses it to us")).await?;
    ensure!(archives.sent("web-1.0.0.tgz") == 0, "it was sent");
    scene.patch(&path, json!({"spec": {"source": {"helm": {"passCredentials": true}}}})).await?;
    let app = scene.synced("passing", "1.0.0").await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}

#[tokio::test]
async fn an_index_may_name_archives_in_a_registry() -> anyhow::Result<()> {
    let scene = Scene::new("index-of-registry").await?;
    let (registry, charts) = (OciRegistry::start().await?, ChartRepository::start(None)?);
    let archive = charts.pack("web", "1.0.0", "", &[("templates/a.yaml", TEMPLATE)])?;
    registry.push_chart(&archive, "charts")?;
    charts.put("index.yaml", &index(&format!("oci://{}/charts/web:1.0.0", registry.host)))?;
    let (username, password) = LOGIN;
    let data = json!({"url": registry.host, "type": "helm", "enableOCI": "true", "insecureOCIForceHttp": "true",
        "username": username, "password": password});
    scene.post(SECRETS, &secret("index-of-registry", "repo-creds", &data)).await?;
    scene.create("index-of-registry", "", with_chart(&format!("http://{}", charts.host))).await?;
    scene.synced("index-of-registry", "1.0.0").await?;
    let object = config_map("index-of-registry", "index-of-registry");
    ensure!(scene.expect(&object).await?["data"]["version"] == "1.0.0");
    Ok(())
}

#[tokio::test]
async fn a_dependency_may_go_by_the_name_of_its_repositorys_secret() -> anyhow::Result<()> {
    let scene = Scene::new("named-charts").await?;
    let charts = ChartRepository::start(None)?;
    charts.publish("web", "1.0.0", "", &[("templates/a.yaml", TEMPLATE)])?;
    let dependency = "dependencies: [{name: web, version: 1.x, repository: '@named-charts'}]\n";
    let chart = format!("apiVersion: v2\nname: app\nversion: 2.0.0\n{dependency}");
    scene.repository.write("app/Chart.yaml", &chart)?;
    let commit = scene.repository.publish("Add a chart").await?;
    scene.create("named-charts", "app", automated()).await?;
    let words = "failed to use repository @named-charts: no Secret of a repository";
    scene.wait(&application("named-charts"), "says what is missing", says(words)).await?;
    let data = json!({"url": format!("http://{}", charts.host), "type": "helm", "name": "named-charts"});
    scene.post(SECRETS, &secret("named-charts", "repository", &data)).await?;
    scene.synced("named-charts", &commit).await?;
    let object = config_map("named-charts", "named-charts");
    ensure!(scene.expect(&object).await?["data"]["version"] == "1.0.0");
    Ok(())
}
