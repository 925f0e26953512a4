//! What was rendered lies sealed on the bus: who has no key reads nothing of it, and nothing that he puts there is applied.

use anyhow::{Context, ensure};
use ithaca_bus::{Args, Bus};
use ithaca_proto::v1::{BundleRendered, Purpose};

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn a_stranger_on_the_bus_reads_nothing_and_has_nothing_applied() -> anyhow::Result<()> {
    let scene = Scene::new("sealed").await?;
    let repository = &scene.repository;
    repository.write("app/settings.yaml", &manifest("settings", "hidden"))?;
    let commit = repository.publish("Add settings").await?;
    scene.create("sealed", "app", automated()).await?;
    let app = scene.synced("sealed", &commit).await?;
    let uid = app["metadata"]["uid"].as_str().context("a uid")?;

    let args = Args {
        nats_url: scene.stack.nats.url.clone(),
        nats_credentials: None,
        nats_token: None,
        nats_replicas: 1,
    };
    let stranger = Bus::connect(&args, "stranger").await?;
    let stored = stranger.last_bundle(uid, Purpose::Tracked).await?.context("a bundle")?;
    let content = stored.bundle.content.clone().context("content")?;
    let error = stranger.get_content(uid, &content).await.err().context("it was read")?;
    ensure!(format!("{:?}", anyhow::Error::from(error)).contains("sealed"), "another error");
    ensure!(zstd::bulk::decompress(&content.inline, 1 << 20).is_err(), "it is not sealed");

    // A fact as a renderer would say it, but for the seal.
    let objects = "[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"planted\"}}]";
    let mut planted = content.clone();
    planted.digest = "planted".to_owned();
    stranger.put_content(uid, &mut planted, zstd::bulk::compress(objects.as_bytes(), 1)?).await?;
    let observed_at = stored.bundle.observed_at + 1;
    let fact = BundleRendered { content: Some(planted), observed_at, ..stored.bundle };
    stranger.publish_bundle(&fact, stored.sequence).await?;

    repository.write("app/settings.yaml", &manifest("settings", "next"))?;
    let next = repository.publish("Change settings").await?;
    scene.synced("sealed", &next).await?;
    let found = scene.expect(&config_map("sealed", "settings")).await?;
    ensure!(found["data"]["value"] == "next", "{found}");
    let planted = scene.get(&config_map("sealed", "planted")).await?;
    ensure!(planted.is_none(), "the stranger had an object applied");
    let conditions = &scene.expect(&application("sealed")).await?["status"]["conditions"];
    ensure!(conditions.is_null(), "{conditions}");
    Ok(())
}
