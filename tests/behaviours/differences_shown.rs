//! Differences: `ithaca app diff` shows each field that differs, who wrote it, and no value of a Secret.

use anyhow::{Context, ensure};
use ithaca_tests::Stack;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::scene::{Scene, application, config_map, manifest};

#[tokio::test]
async fn fields_are_shown_with_their_values_and_whoever_wrote_them() -> anyhow::Result<()> {
    let scene = Scene::new("shown").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "from-git"))?;
    scene.repository.write("app/ignored.yaml", &manifest("ignored", "from-git"))?;
    scene.repository.write("app/more.yaml", &manifest("more", "from-git"))?;
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: keys\nstringData:\n  password: from-git\n";
    scene.repository.write("app/keys.yaml", secret)?;
    let commit = scene.repository.publish("Add settings").await?;
    let rules =
        json!([{"group": "", "kind": "ConfigMap", "name": "ignored", "jsonPointers": ["/data/value"]}]);
    let spec = json!({"syncPolicy": {"automated": {}}, "ignoreDifferences": rules});
    scene.create("shown", "app", spec).await?;
    scene.synced("shown", &commit).await?;
    let shown = diff(&scene, "shown").await?;
    ensure!(shown == format!("Nothing differs from {}.\n", &commit[..7]), "{shown}");

    for name in ["settings", "ignored"] {
        scene.patch(&config_map("shown", name), json!({"data": {"value": "edited"}})).await?;
    }
    scene.delete(&config_map("shown", "more")).await?;
    // "edited", in base64.
    scene.patch("/api/v1/namespaces/shown/secrets/keys", json!({"data": {"password": "ZWRpdGVk"}})).await?;
    let strayed = |app: &Value| {
        let differs = |one: &&Value| one["status"] == "OutOfSync";
        let names = app["status"]["resources"].as_array().into_iter().flatten().filter(differs);
        names.map(|one| &one["name"]).eq(["more", "settings", "keys"])
    };
    scene.wait(&application("shown"), "tells of all three", strayed).await?;
    scene.refresh("shown", "normal").await?;
    let before = scene.expect(&application("shown")).await?;
    let shown = diff(&scene, "shown").await?;
    let wanted = [
        "ConfigMap shown/settings\n  .data.value, written by tester",
        "\n    - \"edited\"\n    + \"from-git\"\n",
        "ConfigMap shown/ignored\n  .data.value (ignored), written by tester",
        "ConfigMap shown/more\n  is not there\n",
        "Secret shown/keys\n  .data.password (values are secret), written by tester",
    ];
    for wanted in wanted {
        ensure!(shown.contains(wanted), "{wanted} is not in:\n{shown}");
    }
    ensure!(!shown.contains("ZWRpdGVk") && !shown.contains("ZnJvbS1naXQ"), "a secret is in:\n{shown}");
    let after = scene.expect(&application("shown")).await?;
    ensure!(before == after, "looking changed the Application");
    Ok(())
}

#[tokio::test]
async fn no_annotation_that_the_settings_name_is_shown() -> anyhow::Result<()> {
    // A stack of its own: the setting is for the whole installation.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "shown-masked").await?;
    let annotated = |token: &str| {
        let annotations = format!("metadata:\n  annotations: {{example.org/token: {token}}}\n");
        manifest("settings", "1").replacen("metadata:\n", &annotations, 1)
    };
    scene.settings(&[("resource.sensitive.mask.annotations", "api-key, example.org/token")]).await?;
    scene.repository.write("app/settings.yaml", &annotated("from-git"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("shown-masked", "app", json!({"syncPolicy": {"automated": {}}})).await?;
    scene.synced("shown-masked", &commit).await?;
    let edited = json!({"metadata": {"annotations": {"example.org/token": "edited"}}});
    scene.patch(&config_map("shown-masked", "settings"), edited).await?;
    let strayed = |app: &Value| app["status"]["sync"]["status"] == "OutOfSync";
    scene.wait(&application("shown-masked"), "tells of it", strayed).await?;
    let shown = diff(&scene, "shown-masked").await?;
    ensure!(shown.contains("example.org/token") && shown.contains("(values are secret)"), "{shown}");
    ensure!(!shown.contains("edited") && !shown.contains("from-git"), "{shown}");
    stack.stop().await
}

#[tokio::test]
async fn an_application_that_is_not_there_is_told() -> anyhow::Result<()> {
    let scene = Scene::new("shown-nothing").await?;
    let error = diff(&scene, "shown-nothing").await.expect_err("there is none");
    ensure!(
        error.to_string().contains("there is no Application shown-nothing in namespace argocd"),
        "{error}"
    );
    Ok(())
}

/// What the command says, or what it says against it.
async fn diff(scene: &Scene<'_>, name: &str) -> anyhow::Result<String> {
    let applier = scene.stack.process("applier")?;
    let program = applier.program();
    let listens = program.arguments.iter().find_map(|argument| argument.strip_prefix("--live-listen="));
    let url = format!("http://{}", listens.context("the applier does not answer")?);
    let output = Command::new(&program.path).args(["app", "diff", name, "--applier", &url]).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
