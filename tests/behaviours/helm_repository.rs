//! A chart in a Helm repository is installed at the version that is wanted of it, follows its range, and takes values
//! from Git; what is wrong with one version concerns nobody else.

use std::time::Duration;

use anyhow::ensure;
use ithaca_tests::ChartRepository;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map};

/// For an index of a hundred thousand versions, read by a program that is built without optimization.
const PATIENCE: Duration = Duration::from_secs(180);

const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  value: {{ .Values.value | quote }}
  version: {{ .Chart.Version | quote }}
";

#[tokio::test]
async fn a_private_chart_follows_its_range_and_what_replaces_its_archive() -> anyhow::Result<()> {
    let scene = Scene::new("helm-range").await?;
    let charts = ChartRepository::start(Some(("me", "p:ss")))?;
    let publish = |version: &str, value: &str| {
        let values = format!("value: {value}\n");
        charts.publish("web", version, "", &[("templates/a.yaml", TEMPLATE), ("values.yaml", &values)])
    };
    publish("1.0.0", "one")?;
    publish("2.0.0", "never")?;
    let url = format!("http://me:p%3Ass@{}", charts.host);
    scene.create("helm-range", "", with_chart(&url, "web", "^1")).await?;
    scene.synced("helm-range", "1.0.0").await?;
    let deployed = |value: &'static str, version: &'static str| {
        move |object: &Value| object["data"]["value"] == value && object["data"]["version"] == version
    };
    let object = config_map("helm-range", "helm-range");
    scene.wait(&object, "is of 1.0.0", deployed("one", "1.0.0")).await?;

    // An index that has not changed is not sent again.
    let sent = charts.sent("index.yaml");
    scene.refresh("helm-range", "normal").await?;
    ensure!(charts.sent("index.yaml") == sent, "it was sent {} times, not {sent}", charts.sent("index.yaml"));

    publish("1.1.0", "two")?;
    scene.refresh("helm-range", "normal").await?;
    let synced = scene.synced("helm-range", "1.1.0").await?;
    ensure!(synced["status"]["sourceType"] == "Helm", "it is {}", synced["status"]["sourceType"]);
    scene.wait(&object, "is of 1.1.0", deployed("two", "1.1.0")).await?;

    publish("1.1.0", "three")?;
    scene.refresh("helm-range", "normal").await?;
    scene.wait(&object, "is of the new archive", deployed("three", "1.1.0")).await.map(drop)
}

#[tokio::test]
async fn values_for_a_chart_come_from_git() -> anyhow::Result<()> {
    let scene = Scene::new("helm-values").await?;
    let charts = ChartRepository::start(None)?;
    charts.publish(
        "web",
        "1.0.0",
        "",
        &[("templates/a.yaml", TEMPLATE), ("values.yaml", "value: default\n")],
    )?;
    scene.repository.write("prod/web.yaml", "value: from Git\n")?;
    scene.repository.publish("Add values").await?;
    let mut spec = automated();
    spec["source"] = Value::Null;
    spec["sources"] = json!([
        {"repoURL": format!("http://{}", charts.host), "chart": "web", "targetRevision": "1.0.0",
         "helm": {"valueFiles": ["$values/prod/web.yaml"]}},
        {"repoURL": scene.repository.url, "targetRevision": "HEAD", "ref": "values"},
    ]);
    scene.create("helm-values", "", spec).await?;
    scene.synced("helm-values", "1.0.0").await?;
    let object = config_map("helm-values", "helm-values");
    scene.wait(&object, "has the value from Git", |object| object["data"]["value"] == "from Git").await?;
    scene.repository.write("prod/web.yaml", "value: moved\n")?;
    scene.repository.publish("Move").await?;
    scene.wait(&object, "has the new value", |object| object["data"]["value"] == "moved").await.map(drop)
}

#[tokio::test]
async fn what_is_wrong_with_a_version_is_a_condition_of_who_wants_it() -> anyhow::Result<()> {
    let scene = Scene::new("helm-bad").await?;
    let charts = ChartRepository::start(None)?;
    let zeros = "0".repeat(15 << 20);
    let files = [("a.txt", zeros.as_str()), ("b.txt", &zeros), ("c.txt", &zeros), ("d.txt", &zeros)];
    charts.pack("bomb", "1.0.0", "", &files)?;
    charts.pack("web", "1.0.0", "", &[("templates/a.yaml", TEMPLATE), ("values.yaml", "value: good\n")])?;
    charts.put("page.tgz", b"<html>log in</html>")?;
    let giant: String =
        (0..100_000).map(|number| format!("  - {{version: 0.0.{number}, urls: [x.tgz]}}\n")).collect();
    let index = format!(
        "apiVersion: v1\nentries:\n  giant:\n{giant}  web:\n  - {{version: 1.0.0, urls: [web-1.0.0.tgz]}}\n  \
         - {{version: 2.0.0, urls: [bomb-1.0.0.tgz]}}\n  - {{version: 3.0.0, urls: [page.tgz]}}\n  \
         - {{version: 4.0.0, urls: [web-1.0.0.tgz], digest: '0123'}}\n"
    );
    charts.put("index.yaml", index.as_bytes())?;
    let url = format!("http://{}", charts.host);
    for (name, chart, version, reason) in [
        ("helm-bad-bomb", "web", "2.0.0", "times its size"),
        ("helm-bad-page", "web", "3.0.0", "the archive cannot be read"),
        ("helm-bad-digest", "web", "4.0.0", "its index says 0123"),
        ("helm-bad-version", "web", "^5", "none of its 4 versions matches"),
        ("helm-bad-chart", "none", "1.0.0", "chart not found in its index"),
        ("helm-bad-giant", "giant", "^1", "none of its 100000 versions matches"),
    ] {
        scene.create(name, "", with_chart(&url, chart, version)).await?;
        let told = |app: &Value| {
            let condition = &app["status"]["conditions"][0];
            condition["type"] == "ComparisonError" && condition["message"].to_string().contains(reason)
        };
        scene.wait_within(PATIENCE, &application(name), "tells what is wrong", told).await?;
    }
    scene.create("helm-bad-none", "", with_chart(&url, "web", "")).await?;
    let told = |app: &Value| {
        let condition = &app["status"]["conditions"][0];
        condition["type"] == "InvalidSpecError"
            && condition["message"]
                .to_string()
                .contains("targetRevision is required if the manifest source is a helm chart")
    };
    scene.wait(&application("helm-bad-none"), "tells that a version is required", told).await?;
    scene.create("helm-good", "", with_chart(&url, "web", "1.0.0")).await?;
    scene.synced("helm-good", "1.0.0").await.map(drop)
}

/// Values of what a chart depends on reach it by its name.
const PARENT_VALUES: &str = "db:\n  value: parent\nlib:\n  value: lib\n";

#[tokio::test]
async fn what_a_chart_in_git_depends_on_is_fetched_for_it() -> anyhow::Result<()> {
    let scene = Scene::new("helm-dependencies").await?;
    let charts = ChartRepository::start(None)?;
    let named = TEMPLATE.replace("{{ .Release.Name }}", "{{ .Chart.Name }}");
    let publish = |version: &str| charts.publish("db", version, "", &[("templates/a.yaml", &named)]);
    publish("1.0.0")?;
    let url = format!("http://{}", charts.host);
    let parent = format!(
        "apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies:\n\
         - {{name: db, version: ^1, repository: \"{url}\"}}\n\
         - {{name: lib, version: ^1, repository: \"file://../lib\"}}\n"
    );
    let repository = &scene.repository;
    repository.write("parent/Chart.yaml", &parent)?;
    repository.write("parent/values.yaml", PARENT_VALUES)?;
    repository.write("lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.0.0\n")?;
    repository.write("lib/templates/a.yaml", &named)?;
    let commit = repository.publish("Add a chart with dependencies").await?;
    scene.create("helm-dependencies", "parent", automated()).await?;
    scene.synced("helm-dependencies", &commit).await?;
    scene.expect(&config_map("helm-dependencies", "lib")).await?;
    let object = config_map("helm-dependencies", "db");
    let is_of = |version: &'static str| {
        move |object: &Value| object["data"]["version"] == version && object["data"]["value"] == "parent"
    };
    scene.wait(&object, "is of 1.0.0", is_of("1.0.0")).await?;

    // A new version in the range is taken; a lock file holds the old one.
    publish("1.1.0")?;
    scene.refresh("helm-dependencies", "normal").await?;
    scene.wait(&object, "is of 1.1.0", is_of("1.1.0")).await?;
    let lock = format!("dependencies:\n- {{name: db, version: 1.0.0, repository: \"{url}\"}}\n");
    repository.write("parent/Chart.lock", &lock)?;
    repository.publish("Lock").await?;
    scene.wait(&object, "is of 1.0.0 again", is_of("1.0.0")).await?;

    // One that is not to be had is told, and what was good stays.
    let too_much = parent.replace("name: db, version: ^1", "name: db, version: ^7");
    repository.write("parent/Chart.yaml", &too_much)?;
    repository.publish("Want too much").await?;
    let told = |app: &Value| {
        let condition = &app["status"]["conditions"][0];
        let message = condition["message"].to_string();
        condition["type"] == "ComparisonError"
            && message.contains("failed to have chart db for parent/charts/db")
    };
    scene.wait(&application("helm-dependencies"), "tells what it does not have", told).await?;
    scene.expect(&object).await.map(drop)
}

fn with_chart(url: &str, chart: &str, version: &str) -> Value {
    let mut spec = automated();
    spec["source"] = json!({"repoURL": url, "path": null, "chart": chart, "targetRevision": version});
    spec
}
