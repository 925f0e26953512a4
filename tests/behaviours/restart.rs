//! Restart: each service may stop and come back at any time; what is right already is not written again.

use std::collections::BTreeMap;

use anyhow::ensure;
use ithaca_tests::{SERVICES, Stack, wait_until};
use serde_json::{Value, json};

use crate::scene::{DEADLINE, Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn a_service_that_comes_back_writes_nothing_again() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "restart").await?;
    let probe = Scene::on(&stack, "restart-probe").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/more.yaml", &manifest("more", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    probe.repository.write("app/settings.yaml", &manifest("settings", "0"))?;
    probe.repository.publish("Add a probe").await?;
    scene.create("restart", "app", automated()).await?;
    scene.create("restart-broken", "nowhere", automated()).await?;
    probe.create("restart-probe", "app", automated()).await?;
    scene.synced("restart", &commit).await?;
    scene.refresh("restart-broken", "normal").await?;
    let before = versions(&scene).await?;
    for service in SERVICES {
        stack.process(service)?.restart().await?;
        // Another Application's commit that gets through shows that the service is at work again.
        probe.repository.write("app/settings.yaml", &manifest("settings", service))?;
        let commit = probe.repository.publish("Probe it").await?;
        probe.synced("restart-probe", &commit).await?;
        let after = versions(&scene).await?;
        ensure!(before == after, "after the restart of {service}: {before:?} became {after:?}");
    }
    stack.stop().await
}

#[tokio::test]
async fn what_was_done_is_told_before_a_service_ends() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "restart-told").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "good"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("restart-told", "app", automated()).await?;
    scene.synced("restart-told", &commit).await?;
    let (bus, applier) = (stack.process("nats-server")?, stack.process("applier")?);
    bus.freeze()?;
    let settings = config_map("restart-told", "settings");
    scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
    let healed = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["operation"]["sync"]["autoHealAttemptsCount"] == 1 && state["phase"] == "Succeeded"
    };
    scene.wait(&application("restart-told"), "is healed", healed).await?;
    applier.terminate()?;
    wait_until("the applier has heard it", DEADLINE, async || {
        let log = applier.log_tail(20);
        ensure!(log.contains("stopping"), "{log}");
        Ok(())
    })
    .await?;
    bus.thaw()?;
    scene.event("restart-told", "DriftDetected", "settings").await?;
    stack.stop().await
}

/// The resource version of everything that must not be written.
async fn versions(scene: &Scene<'_>) -> anyhow::Result<BTreeMap<String, String>> {
    let paths = [
        application("restart"),
        application("restart-broken"),
        config_map("restart", "settings"),
        config_map("restart", "more"),
        "/api/v1/namespaces/restart".to_owned(),
    ];
    let mut versions = BTreeMap::new();
    for path in paths {
        let version = scene.expect(&path).await?["metadata"]["resourceVersion"].to_string();
        versions.insert(path, version);
    }
    Ok(versions)
}
