//! A value file that is named by a URL is fetched, and a change of it is applied, without any of it in the repository.
//! Nothing inside the cluster is asked for one, unless a Secret of a repository names that server.

use anyhow::ensure;
use ithaca_tests::ChartRepository;
use serde_json::{Value, json};

use crate::private_repository::{says, secret};
use crate::scene::{Scene, application, automated, config_map};

const SECRETS: &str = "/api/v1/namespaces/argocd/secrets";
const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  value: {{ .Values.value | quote }}
";

#[tokio::test]
async fn a_value_file_at_a_url_is_applied_and_so_is_each_change_of_it() -> anyhow::Result<()> {
    let scene = Scene::new("remote-values").await?;
    let repository = &scene.repository;
    repository.write("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n")?;
    repository.write("app/templates/settings.yaml", TEMPLATE)?;
    repository.write("app/values.yaml", "value: own\n")?;
    let commit = repository.publish("Add a chart").await?;
    let server = ChartRepository::start(None)?;
    server.put("values.yaml", b"value: first\n")?;
    let url = format!("http://{}/values.yaml", server.host);
    let mut spec = automated();
    spec["source"] = json!({"helm": {"valueFiles": [url]}});
    scene.create("remote-values", "app", spec).await?;
    let path = application("remote-values");
    let inside = format!("failed to fetch file {url}: 127.0.0.1 leads to an address inside");
    scene.wait(&path, "asks nothing inside", says(&inside)).await?;
    ensure!(server.sent("values.yaml") == 0, "it was asked for nevertheless");

    let data = json!({"url": format!("http://{}", server.host)});
    scene.post(SECRETS, &secret("remote-values", "repo-creds", &data)).await?;
    let app = scene.synced("remote-values", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    let settings = config_map("remote-values", "settings");
    let has = |value: &'static str| move |settings: &Value| settings["data"]["value"] == value;
    ensure!(has("first")(&scene.expect(&settings).await?));

    server.put("values.yaml", b"value: second\n")?;
    scene.refresh("remote-values", "normal").await?;
    scene.wait(&settings, "has what is there now", has("second")).await?;
    let odd = json!({"spec": {"source": {"helm": {"valueFiles": ["s3://bucket/values.yaml"]}}}});
    scene.patch(&path, odd).await?;
    scene.wait(&path, "names the setting", says("helm.valuesFileSchemes")).await.map(drop)
}
