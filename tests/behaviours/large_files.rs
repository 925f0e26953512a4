//! Files that Git LFS holds are what an application is made of where its repository's Secret says so, and pointers
//! everywhere else. One that cannot be had is an error of its own application, which names it.

use anyhow::ensure;
use serde_json::json;

use crate::private_repository::{says, secret};
use crate::scene::{Scene, application, automated, config_map, manifest};

const SECRETS: &str = "/api/v1/namespaces/argocd/secrets";
const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  value: {{ .Values.value | default \"none\" | quote }}
  file: {{ .Files.Get \"big.txt\" | quote }}
";

/// A Secret of the repository, which needs no password.
async fn describe(scene: &Scene<'_>, name: &str, enabled: &str) -> anyhow::Result<()> {
    let data = json!({"url": scene.repository.url, "enableLfs": enabled});
    scene.post(SECRETS, &secret(name, "repository", &data)).await
}

#[tokio::test]
async fn pointers_become_files_as_soon_as_the_secret_says_so() -> anyhow::Result<()> {
    let scene = Scene::new("large-files").await?;
    let git = &scene.stack.git;
    let store = |text: &str| git.store(text.as_bytes(), Some(text.as_bytes()));
    let repository = &scene.repository;
    repository.write("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n")?;
    repository.write("app/templates/settings.yaml", TEMPLATE)?;
    repository.write("app/big.txt", &store("a large file"))?;
    repository.write("app/values-large.yaml", &store("value: large\n"))?;
    let first = repository.publish("Add a chart with large files").await?;
    describe(&scene, "large-files", "false").await?;
    scene.create("large-files", "app", automated()).await?;
    scene.synced("large-files", &first).await?;
    let path = config_map("large-files", "settings");
    let settings = scene.expect(&path).await?;
    ensure!(settings["data"]["value"] == "none", "{}", settings["data"]);
    ensure!(settings["data"]["file"].to_string().contains("git-lfs.github.com"), "{}", settings["data"]);

    let enabled = json!({"stringData": {"enableLfs": "true"}});
    scene.patch(&format!("{SECRETS}/large-files"), enabled).await?;
    scene.wait(&path, "has the file", |settings| settings["data"]["file"] == "a large file").await?;
    let values = json!({"spec": {"source": {"helm": {"valueFiles": ["values-large.yaml"]}}}});
    scene.patch(&application("large-files"), values).await?;
    scene.wait(&path, "has the values", |settings| settings["data"]["value"] == "large").await?;

    repository.write("app/big.txt", &store("another large file"))?;
    let second = repository.publish("Change the large file").await?;
    scene.synced("large-files", &second).await?;
    ensure!(scene.expect(&path).await?["data"]["file"] == "another large file");
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_had_is_named_and_leaves_what_was_there() -> anyhow::Result<()> {
    let scene = Scene::new("lost-files").await?;
    let git = &scene.stack.git;
    let repository = &scene.repository;
    repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    repository.write("other/settings.yaml", &manifest("settings", "1"))?;
    let first = repository.publish("Add settings").await?;
    describe(&scene, "lost-files", "true").await?;
    for (name, path) in [("lost-files", "app"), ("found-files", "other")] {
        scene.create(name, path, automated()).await?;
        scene.synced(name, &first).await?;
    }
    let large = "x".repeat(17 << 20);
    for (served, content, words) in [
        (None, "gone", "app/settings.yaml: its server does not have object"),
        (Some("f0rged"), "forged", "app/settings.yaml: its server gave 6 bytes with the SHA-256"),
        (Some("a forgery and longer"), "a forgery", "has more than the 9 bytes"),
        (None, large.as_str(), "file app/settings.yaml has 17 MiB, and at most 16 are served"),
    ] {
        repository.write("app/settings.yaml", &git.store(content.as_bytes(), served.map(str::as_bytes)))?;
        repository.publish("Change settings").await?;
        scene.wait(&application("lost-files"), words, says(words)).await?;
    }
    repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    repository.write(".lfsconfig", "[lfs]\n\turl = http://localhost:1/elsewhere\n")?;
    repository.write("app/more.yaml", &git.store(b"more: 1", Some(b"more: 1")))?;
    repository.publish("Keep large files elsewhere").await?;
    let words = "lfs.url in .lfsconfig leads to http://localhost:1/elsewhere, which is another host";
    scene.wait(&application("lost-files"), "says where it must not go", says(words)).await?;
    let kept = scene.expect(&config_map("lost-files", "settings")).await?;
    ensure!(kept["data"]["value"] == "1", "{}", kept["data"]);
    let other = scene.expect(&application("found-files")).await?;
    ensure!(other["status"]["conditions"].is_null(), "{}", other["status"]["conditions"]);
    Ok(())
}

/// A mirror has a file a moment later than the commit that names it.
#[tokio::test]
async fn a_file_that_its_server_has_later_needs_no_other_commit() -> anyhow::Result<()> {
    let scene = Scene::new("late-files").await?;
    let git = &scene.stack.git;
    let settings = manifest("settings", "1");
    scene.repository.write("app/settings.yaml", &git.store(settings.as_bytes(), None))?;
    let commit = scene.repository.publish("Add settings").await?;
    describe(&scene, "late-files", "true").await?;
    scene.create("late-files", "app", automated()).await?;
    let words = "app/settings.yaml: its server does not have object";
    scene.wait(&application("late-files"), words, says(words)).await?;
    git.store(settings.as_bytes(), Some(settings.as_bytes()));
    scene.synced("late-files", &commit).await?;
    Ok(())
}
