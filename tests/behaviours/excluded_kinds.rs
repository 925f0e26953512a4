//! Excluded kinds: what `resource.exclusions` names is neither applied, nor compared, nor pruned, and the Application that
//! wants it is told. A change needs no restart, and one that cannot be read stops everything rather than undo what it
//! protects. The cluster that Ithaca runs in may be excluded as a whole (`cluster.inClusterEnabled`).

use anyhow::ensure;
use ithaca_tests::Stack;
use serde_json::json;

use crate::scene::{Scene, automated, config_map, manifest};

const NAME: &str = "excluded";
const EXCLUSIONS: &str = "resource.exclusions";
const NO_SECRETS: &str =
    "- apiGroups: ['']\n  kinds: [Sec*]\n  clusters: ['https://kubernetes.default.svc']\n- kinds: [Lease]\n";

fn secret(name: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  key: value\n")
}

fn secret_path(name: &str) -> String {
    format!("/api/v1/namespaces/{NAME}/secrets/{name}")
}

#[tokio::test]
async fn excluded_kinds_are_left_alone_until_they_are_not_excluded() -> anyhow::Result<()> {
    // A stack of its own: exclusions are for the whole installation.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, NAME).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/old.yaml", &secret("old"))?;
    let commit = scene.repository.publish("Add settings and a Secret").await?;
    scene.create(NAME, "app", automated()).await?;
    scene.synced(NAME, &commit).await?;

    scene.settings(&[(EXCLUSIONS, NO_SECRETS)]).await?;
    let app = scene.told(NAME, "ExcludedResourceWarning", "Secret old is excluded").await?;
    let status = &app["status"];
    ensure!(status["resources"].as_array().map(Vec::len) == Some(1), "{}", status["resources"]);
    ensure!(status["sync"]["status"] == "Synced", "{}", status["sync"]);

    // It is neither pruned nor created.
    scene.repository.remove("app/old.yaml")?;
    scene.repository.write("app/new.yaml", &secret("new"))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let commit = scene.repository.publish("Put another Secret in its place").await?;
    scene.synced(NAME, &commit).await?;
    scene.told(NAME, "ExcludedResourceWarning", "Secret new is excluded").await?;
    scene.expect(&secret_path("old")).await?;
    ensure!(scene.get(&secret_path("new")).await?.is_none(), "an excluded kind was applied");

    nothing_is_decided_by_what_cannot_be_read(&scene).await?;

    // Nothing is excluded any more: one goes, the other comes.
    scene.settings(&[]).await?;
    scene.gone(&secret_path("old")).await?;
    let app = scene.synced(NAME, &commit).await?;
    scene.expect(&secret_path("new")).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    the_cluster_as_a_whole_may_be_disabled(&scene, &commit).await?;
    stack.stop().await
}

async fn the_cluster_as_a_whole_may_be_disabled(scene: &Scene<'_>, commit: &str) -> anyhow::Result<()> {
    scene.settings(&[("cluster.inClusterEnabled", "false")]).await?;
    let app = scene.told(NAME, "InvalidSpecError", "is disabled: see cluster.inClusterEnabled").await?;
    let status = [&app["status"]["sync"]["status"], &app["status"]["health"]["status"]];
    ensure!(status == ["Unknown", "Unknown"], "{status:?}");
    let settings = config_map(NAME, "settings");
    scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
    scene.refresh(NAME, "normal").await?;
    ensure!(scene.expect(&settings).await?["data"]["value"] == "edited", "it was put back");
    scene.settings(&[]).await?;
    scene.wait(&settings, "is as Git says again", |object| object["data"]["value"] == "2").await?;
    scene.synced(NAME, commit).await?;
    Ok(())
}

async fn nothing_is_decided_by_what_cannot_be_read(scene: &Scene<'_>) -> anyhow::Result<()> {
    scene.settings(&[(EXCLUSIONS, "- {kinds: [Secret")]).await?;
    let app = scene.told(NAME, "ComparisonError", EXCLUSIONS).await?;
    ensure!(app["status"]["sync"]["status"] == "Unknown", "{}", app["status"]["sync"]);
    let settings = config_map(NAME, "settings");
    scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
    scene.refresh(NAME, "normal").await?;
    ensure!(scene.expect(&settings).await?["data"]["value"] == "edited", "it was put back");
    scene.expect(&secret_path("old")).await?;
    Ok(())
}
