//! Plugins beside the renderer: one renders an Application with its parameters and environment, finds its own folders,
//! and what a plugin does not do, or does badly, is a condition of its own Applications alone.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use ithaca_tests::Stack;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::process::{Child, Command};

use crate::scene::{Scene, application, automated, config_map, manifest};

/// The folder of a plugin, as it is mounted into the renderer's container.
fn folder(stack: &Stack, name: &str) -> anyhow::Result<PathBuf> {
    let folder = stack.dir.join("plugins").join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The sample. It ends when this is dropped, and its folder goes, as with a pod that has it no more.
struct Sample {
    process: Child,
    folder: PathBuf,
}

impl Sample {
    fn start(folder: PathBuf) -> anyhow::Result<Self> {
        let mut sample = Command::new(env!("CARGO_BIN_EXE_sample-plugin"));
        sample.env_clear().env("ITHACA_PLUGIN_SOCKET", folder.join("plugin.sock"));
        let process = sample.stdin(Stdio::null()).kill_on_drop(true).spawn();
        Ok(Self { process: process.context("failed to start the sample")?, folder })
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn by(plugin: Value) -> Value {
    let mut spec = automated();
    spec["source"] = json!({"plugin": plugin});
    spec
}

fn conditions(app: &Value) -> String {
    app["status"]["conditions"].to_string()
}

#[tokio::test]
async fn a_plugin_renders_an_application_with_its_parameters_and_environment() -> anyhow::Result<()> {
    let scene = Scene::new("plugins").await?;
    let _plugin = Sample::start(folder(scene.stack, "settings")?)?;
    let repository = &scene.repository;
    repository.write("app/web.settings", "color=blue\n")?;
    repository.write("shared/notes.md", "1")?;
    let commit = repository.publish("Add settings").await?;
    let plugin = json!({
        "name": "settings",
        "env": [{"name": "STAGE", "value": "$ARGOCD_APP_NAME-live"}],
        "parameters": [
            {"name": "name-prefix", "string": "my-"},
            {"name": "labels", "map": {"team": "shop"}},
        ],
    });
    scene.create("plugins", "app", by(plugin)).await?;
    let app = scene.synced("plugins", &commit).await?;
    ensure!(app["status"]["sourceType"] == "Plugin", "{}", app["status"]);
    let found = scene.expect(&config_map("plugins", "my-web")).await?;
    ensure!(found["data"] == json!({"color": "blue", "stage": "plugins-live"}), "{found}");
    ensure!(found["metadata"]["labels"]["team"] == "shop", "{found}");

    repository.write("app/web.settings", "color=red\n")?;
    let commit = repository.publish("Change a setting").await?;
    scene.synced("plugins", &commit).await?;
    let found = scene.expect(&config_map("plugins", "my-web")).await?;
    ensure!(found["data"]["color"] == "red", "{found}");

    repository.write("shared/notes.md", "2")?;
    let commit = repository.publish("Change what the plugin does not read").await?;
    scene.synced("plugins", &commit).await?;

    repository.write("app/web.settings", "color\n")?;
    repository.publish("Break the settings").await?;
    let words = "refuses the source: app/web.settings:1: it has no =";
    scene
        .wait(&application("plugins"), &format!("says {words:?}"), |app| conditions(app).contains(words))
        .await?;
    scene.expect(&config_map("plugins", "my-web")).await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_that_names_no_tool_goes_to_the_plugin_that_takes_it() -> anyhow::Result<()> {
    let scene = Scene::new("plugins-discovered").await?;
    let _plugin = Sample::start(folder(scene.stack, "discovers")?)?;
    let repository = &scene.repository;
    repository.write("app/plain.yaml", &manifest("plain", "1"))?;
    let commit = repository.publish("Add a manifest").await?;
    scene.create("plugins-discovered", "app", automated()).await?;
    scene.synced("plugins-discovered", &commit).await?;
    scene.expect(&config_map("plugins-discovered", "plain")).await?;

    // Both plugins of this stack may take it: they are the same.
    repository.write("app/web.settings", "color=blue\n")?;
    let commit = repository.publish("Add settings").await?;
    let app = scene.synced("plugins-discovered", &commit).await?;
    ensure!(app["status"]["sourceType"] == "Plugin", "{}", app["status"]);
    scene.expect(&config_map("plugins-discovered", "web")).await?;
    scene.gone(&config_map("plugins-discovered", "plain")).await
}

#[tokio::test]
async fn a_plugin_that_hangs_lies_or_dies_is_a_condition_of_its_own_applications() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "plugins-bad").await?;
    let hangs = folder(&stack, "hangs")?;
    let listener = UnixListener::bind(hangs.join("plugin.sock"))?;
    let liar = UnixListener::bind(folder(&stack, "lies")?.join("plugin.sock"))?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = liar.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nkind: Pod\n").await;
        }
    });
    let dies = folder(&stack, "dies")?;
    let mut dead = Sample::start(dies.clone())?;
    let repository = &scene.repository;
    repository.write("app/web.settings", "color=blue\n")?;
    repository.write("plain/a.yaml", &manifest("plain", "1"))?;
    let commit = repository.publish("Add settings").await?;
    scene.create("plugin-dies", "app", by(json!({"name": "dies"}))).await?;
    scene.synced("plugin-dies", &commit).await?;
    dead.process.kill().await?;
    for name in ["hangs", "lies", "missing"] {
        scene.create(&format!("plugin-{name}"), "app", by(json!({"name": name}))).await?;
    }
    repository.write("app/web.settings", "color=red\n")?;
    let commit = repository.publish("Change a setting").await?;
    scene.create("plugin-none", "plain", automated()).await?;
    scene.synced("plugin-none", &commit).await?;
    for (name, words) in [
        (
            "hangs",
            "failed to ask plugin \\\"hangs\\\", and it is asked again: it did not say within 5 seconds what it is",
        ),
        ("lies", "failed to ask plugin \\\"lies\\\", and it is asked again: "),
        (
            "dies",
            "failed to ask plugin \\\"dies\\\", and it is asked again: it does not listen on its socket",
        ),
        (
            "missing",
            "failed to find plugin \\\"missing\\\", and it is looked for again; the renderer has dies, hangs, lies",
        ),
    ] {
        let told =
            |app: &Value| conditions(app).contains("ComparisonError") && conditions(app).contains(words);
        let name = application(&format!("plugin-{name}"));
        scene.wait(&name, &format!("says {words:?}"), told).await?;
    }
    let found = scene.expect(&config_map("plugin-dies", "web")).await?;
    ensure!(found["data"]["color"] == "blue", "{found}");

    // What was owed is done once the plugin works, without another commit.
    drop(listener);
    let _works = [Sample::start(hangs)?, Sample::start(dies)?];
    for name in ["plugin-hangs", "plugin-dies"] {
        let app = scene.synced(name, &commit).await?;
        ensure!(!conditions(&app).contains("ComparisonError"), "{}", app["status"]);
        let found = scene.expect(&config_map(name, "web")).await?;
        ensure!(found["data"]["color"] == "red", "{found}");
    }
    stack.stop().await
}
