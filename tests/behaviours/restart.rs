//! Restart: each service may stop and come back at any time; what is right already is not written again.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{bail, ensure};
use ithaca_tests::{Process, SERVICES, Stack, wait_until};
use serde_json::json;

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
    let (bus, applier) = (stack.process("nats-server")?, stack.process("applier")?);
    let healed = heal_without_the_bus(&scene, bus).await?;
    applier.terminate()?;
    wait_until("the applier has heard it", DEADLINE, async || {
        let log = applier.log_tail(20);
        ensure!(log.contains("stopping"), "{log}");
        Ok(())
    })
    .await?;
    bus.thaw()?;
    scene.event("restart-told", "DriftDetected", &healed).await?;
    stack.stop().await
}

/// Stops the bus, has an object healed meanwhile, and returns its name. An applier that does not reach the bus stops soon
/// as well: where a slow machine was slower than that, it is tried with another object.
async fn heal_without_the_bus(scene: &Scene<'_>, bus: &Process) -> anyhow::Result<String> {
    let path = application("restart-told");
    for number in 1..=10 {
        let name = format!("settings-{number}");
        scene.repository.write(&format!("app/{name}.yaml"), &manifest(&name, "good"))?;
        let commit = scene.repository.publish("Add settings").await?;
        if number == 1 {
            scene.create("restart-told", "app", automated()).await?;
        }
        scene.synced("restart-told", &commit).await?;
        bus.freeze()?;
        scene.patch(&config_map("restart-told", &name), json!({"data": {"value": "edited"}})).await?;
        let healed = wait_until("it is healed", Duration::from_secs(5), async || {
            let state = &scene.expect(&path).await?["status"]["operationState"];
            let heals = &state["operation"]["sync"]["autoHealAttemptsCount"];
            ensure!(*heals == 1 && state["phase"] == "Succeeded", "its operation is {state}");
            Ok(())
        });
        if healed.await.is_ok() {
            return Ok(name);
        }
        bus.thaw()?;
    }
    bail!("the applier never heals before it stops for want of the bus")
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
