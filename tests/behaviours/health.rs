//! Health: an Application is as well as the worst of its objects.

use anyhow::ensure;
use serde_json::Value;

use crate::scene::{Scene, application, automated, deployment};

#[tokio::test]
async fn what_never_comes_up_is_told_while_it_is_synced() -> anyhow::Result<()> {
    let scene = Scene::new("health").await?;
    let hasty = |manifest: String| {
        let hasty = "\"spec\":{\"progressDeadlineSeconds\":1,\"selector\"";
        manifest.replacen("\"spec\":{\"selector\"", hasty, 1)
    };
    scene.repository.write("app/player.yaml", &hasty(deployment("player", Some("crashes"))))?;
    let commit = scene.repository.publish("Add a player").await?;
    scene.create("health", "app", automated()).await?;
    scene.synced("health", &commit).await?;
    let health = |wanted: &'static str| move |app: &Value| app["status"]["health"]["status"] == wanted;
    let name = application("health");
    let app = scene.wait(&name, "is Degraded", health("Degraded")).await?;
    ensure!(app["status"]["sync"]["status"] == "Synced", "{}", app["status"]);
    let object = &app["status"]["resources"][0]["health"];
    ensure!(object["status"] == "Degraded" && object["message"].is_string(), "{object}");
    scene.repository.write("app/player.yaml", &hasty(deployment("player", None)))?;
    let commit = scene.repository.publish("Mend the player").await?;
    scene.synced("health", &commit).await?;
    scene.wait(&name, "is Healthy", health("Healthy")).await?;
    Ok(())
}
