//! A repository that asks who reads it is read with what a Secret says, and heals as soon as the Secret is right. What the
//! Secret holds is seen nowhere.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, manifest};

pub const SECRETS: &str = "/api/v1/namespaces/argocd/secrets";
const RIGHT: &str = "r1ght-passw0rd";
const WRONG: &str = "wr0ng-passw0rd";

/// A Secret about a repository, or about all whose URLs begin so.
pub fn secret(name: &str, role: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": role}},
        "stringData": data,
    })
}

/// Whether a condition of an Application says this.
pub fn says<'a>(words: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |app: &Value| {
        let mut conditions = app["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| {
            condition["type"] == "ComparisonError" && condition["message"].to_string().contains(words)
        })
    }
}

#[tokio::test]
async fn a_private_repository_heals_as_soon_as_its_secret_is_right() -> anyhow::Result<()> {
    let scene = Scene::new("private").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.stack.git.protect(&scene.repository, "ada", RIGHT);
    scene.create("private", "app", automated()).await?;
    let path = application("private");
    scene.wait(&path, "asks for a Secret", says("no Secret has credentials for it")).await?;

    let data = json!({"url": scene.repository.url, "username": "ada", "password": WRONG});
    scene.post(SECRETS, &secret("private", "repository", &data)).await?;
    scene.wait(&path, "names the Secret", says("refused the credentials of Secret private")).await?;
    let right = json!({"stringData": {"password": RIGHT}});
    scene.patch(&format!("{SECRETS}/private"), right).await?;
    let app = scene.synced("private", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    ensure!(!app.to_string().contains("passw0rd"), "a password is in the Application");

    // Whatever was written or sent of it would lie here: logs, the bus, what was fetched.
    let found = holders(&scene.stack.dir, &[RIGHT, WRONG])?;
    ensure!(found.is_empty(), "a password is in {found:?}");
    let told = scene.stack.collector()?.spans().iter().any(|span| format!("{span:?}").contains("passw0rd"));
    ensure!(!told, "a password is in a trace");
    Ok(())
}

#[tokio::test]
async fn a_template_serves_all_repositories_whose_urls_begin_with_its_own() -> anyhow::Result<()> {
    let scene = Scene::new("template-of-many").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.stack.git.protect(&scene.repository, "ada", RIGHT);
    let beginning = scene.repository.url.trim_end_matches("-many.git");
    let data = json!({"url": beginning, "username": "ada", "password": RIGHT});
    scene.post(SECRETS, &secret("template", "repo-creds", &data)).await?;
    scene.create("template-of-many", "app", automated()).await?;
    let app = scene.synced("template-of-many", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_told_to_its_own_applications() -> anyhow::Result<()> {
    let scene = Scene::new("odd-secret").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let data = json!({"url": scene.repository.url, "insecure": WRONG});
    scene.post(SECRETS, &secret("odd", "repository", &data)).await?;
    scene.create("odd-secret", "app", automated()).await?;
    let path = application("odd-secret");
    let app = scene.wait(&path, "names Secret and key", says("Secret odd: its key insecure")).await?;
    ensure!(!app.to_string().contains(WRONG), "{}", app["status"]);
    scene.delete(&format!("{SECRETS}/odd")).await?;
    scene.synced("odd-secret", &commit).await.map(drop)
}

/// The files below a folder that hold one of some words. The cluster's own state holds every Secret.
fn holders(folder: &Path, words: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    // What is gone by now holds nothing: other tests push, fetch and render here at the same time.
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() || name.starts_with("state.db") {
            continue;
        }
        if path.is_dir() {
            found.extend(holders(&path, words)?);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let holds = |word: &&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        if words.iter().any(holds) {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}
