//! An overlay names bases, files and charts of other repositories by URL: they are had with the credentials of their own
//! URL, followed as they move, and refused where the project or the place says so.

use anyhow::{Context, ensure};
use ithaca_tests::{ChartRepository, Repository, Stack};
use serde_json::json;

use crate::private_repository::{SECRETS, says, secret};
use crate::scene::{PROJECTS, Scene, application, automated, config_map, manifest, of_project, project};

const PASSWORD: &str = "b4se-passw0rd";

/// A repository that only who has the password reads, with a base in it.
async fn private_base(scene: &Scene<'_>, name: &str) -> anyhow::Result<Repository> {
    let base = scene.stack.repository(name).await?;
    base.write("web/kustomization.yaml", "resources: [../common]\nnamePrefix: base-\n")?;
    base.write("common/kustomization.yaml", "resources: [settings.yaml]\n")?;
    base.write("common/settings.yaml", &manifest("settings", "1"))?;
    base.publish("Add a base").await?;
    scene.stack.git.protect(&base, "ada", PASSWORD);
    Ok(base)
}

/// Git itself shows the password from now on.
async fn log_in(base: &Repository) -> anyhow::Result<()> {
    let url = base.url.replace("http://", &format!("http://ada:{PASSWORD}@"));
    base.git(&["remote", "set-url", "origin", &url]).await.map(drop)
}

#[tokio::test]
async fn a_base_of_another_repository_is_followed_with_its_own_credentials() -> anyhow::Result<()> {
    let scene = Scene::new("remote-base").await?;
    let base = private_base(&scene, "remote-base-base").await?;
    let overlay = |base: &str| format!("resources: ['{base}//web?ref=main', own.yaml]\nnameSuffix: -x\n");
    // A server inside that no Secret names, of this test or of another.
    let inside = "http://localhost:1/remote-base-base.git";
    scene.repository.write("app/kustomization.yaml", &overlay(inside))?;
    scene.repository.write("app/own.yaml", &manifest("own", "1"))?;
    scene.repository.publish("Add an overlay").await?;
    scene.create("remote-base", "app", automated()).await?;
    let path = application("remote-base");
    let app = scene.wait(&path, "says where it may not go", says("its host is an internal one")).await?;
    ensure!(app["status"]["conditions"].to_string().contains(inside), "{}", app["status"]["conditions"]);

    scene.repository.write("app/kustomization.yaml", &overlay(&base.url))?;
    let commit = scene.repository.publish("Name another base").await?;
    let data = json!({"url": base.url, "username": "ada", "password": PASSWORD});
    scene.post(SECRETS, &secret("remote-base", "repository", &data)).await?;
    let app = scene.synced("remote-base", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    ensure!(app["status"]["sourceType"] == "Kustomize", "{}", app["status"]["sourceType"]);
    let settings = config_map("remote-base", "base-settings-x");
    ensure!(scene.expect(&settings).await?["data"]["value"] == "1", "it is another");
    scene.expect(&config_map("remote-base", "own-x")).await?;

    // The branch of the base moves, and its webhook tells.
    base.write("common/settings.yaml", &manifest("settings", "2"))?;
    log_in(&base).await?;
    base.publish("Move the base").await?;
    scene.wait(&settings, "follows the base", |object| object["data"]["value"] == "2").await?;

    // What goes wrong in the base keeps what was good.
    base.write("web/kustomization.yaml", "resources: [../../../app]\n")?;
    base.publish("Lead out of the base").await?;
    scene.wait(&path, "says what leads out", says("leads out of the repository")).await?;
    ensure!(scene.expect(&settings).await?["data"]["value"] == "2", "the last good state is gone");
    base.revert().await?;
    base.push().await?;
    scene.wait(&path, "is well again", |app| app["status"]["conditions"].is_null()).await.map(drop)
}

#[tokio::test]
async fn a_base_that_the_project_does_not_permit_is_refused() -> anyhow::Result<()> {
    let scene = Scene::new("remote-forbidden").await?;
    let base = private_base(&scene, "remote-forbidden-base").await?;
    let data = json!({"url": base.url, "username": "ada", "password": PASSWORD});
    scene.post(SECRETS, &secret("remote-forbidden", "repository", &data)).await?;
    let permits = json!({"sourceRepos": [scene.repository.url]});
    scene.post(PROJECTS, &project("remote-forbidden", &permits)).await?;
    scene.repository.write("app/kustomization.yaml", &format!("resources: ['{}//web']\n", base.url))?;
    let commit = scene.repository.publish("Add an overlay").await?;
    scene.create("remote-forbidden", "app", of_project("remote-forbidden")).await?;
    let told = format!("repo {} is not permitted in project 'remote-forbidden'", base.url);
    scene.wait(&application("remote-forbidden"), "says what is not permitted", says(&told)).await?;
    let permits = json!({"spec": {"sourceRepos": [scene.repository.url, base.url]}});
    scene.patch(&format!("{PROJECTS}/remote-forbidden"), permits).await?;
    scene.synced("remote-forbidden", &commit).await.map(drop)
}

#[tokio::test]
async fn files_and_charts_that_an_overlay_names_are_had_and_built_as_kustomize_builds_them()
-> anyhow::Result<()> {
    // A stack of its own: the options are for the whole installation.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "remote-chart").await?;
    scene.settings(&[("kustomize.buildOptions", "--enable-helm")]).await?;
    let served = ChartRepository::start(None)?;
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n\
                    data: {value: '{{ .Values.value }}', version: '{{ .Chart.Version }}'}\n";
    for version in ["1.0.0", "1.1.0", "2.0.0"] {
        served.publish(
            "web",
            version,
            "",
            &[("templates/a.yaml", template), ("values.yaml", "value: v\n")],
        )?;
    }
    served.put("all.yaml", manifest("of-a-url", "1").as_bytes())?;
    let url = format!("http://{}", served.host);
    let overlay = format!(
        "resources: ['{url}/all.yaml']\nnamePrefix: x-\nhelmCharts:\n\
         - {{name: web, repo: '{url}', version: 1.0.0, releaseName: exact, valuesInline: {{value: own}}}}\n\
         - {{name: web, repo: '{url}', releaseName: newest}}\n"
    );
    scene.repository.write("app/kustomization.yaml", &overlay)?;
    let commit = scene.repository.publish("Add an overlay").await?;
    scene.create("remote-chart", "app", automated()).await?;
    let path = application("remote-chart");
    scene.wait(&path, "says where it may not go", says("its host is an internal one")).await?;
    scene.post(SECRETS, &secret("remote-chart", "repo-creds", &json!({"url": url}))).await?;
    scene.synced("remote-chart", &commit).await?;

    // The real kustomize, which fetches by itself.
    let tools = scene.stack.tools.folder().to_path_buf();
    let real = tokio::process::Command::new(tools.join("kustomize"))
        .args(["build", "app", "--enable-helm", "--helm-command"])
        .arg(tools.join("helm"))
        .current_dir(&scene.repository.folder)
        .output()
        .await?;
    let real = String::from_utf8(real.stdout).context("it prints UTF-8")?;
    ensure!(real.contains("version: 2.0.0") && real.contains("version: 1.0.0"), "kustomize built: {real}");
    for (name, value, version) in [
        ("x-exact", Some("own"), Some("1.0.0")),
        ("x-newest", Some("v"), Some("2.0.0")),
        ("x-of-a-url", Some("1"), None),
    ] {
        let object = scene.expect(&config_map("remote-chart", name)).await?;
        let mut data = json!({"value": value});
        if let Some(version) = version {
            data["version"] = json!(version);
        }
        ensure!(object["data"] == data && real.contains(&format!("name: {name}\n")), "{name} is {object}");
    }

    // A file is asked for again with each look.
    served.put("all.yaml", manifest("of-a-url", "2").as_bytes())?;
    scene.refresh("remote-chart", "normal").await?;
    let of_url = config_map("remote-chart", "x-of-a-url");
    scene.wait(&of_url, "follows its URL", |object| object["data"]["value"] == "2").await.map(drop)
}
