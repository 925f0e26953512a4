//! Interval: an Application says how often its repository is asked, and is told where that cannot be read.

use serde_json::json;

use crate::scene::{Scene, application, automated, manifest};

#[tokio::test]
async fn a_commit_that_no_webhook_tells_of_is_found_within_the_interval() -> anyhow::Result<()> {
    let scene = Scene::new("interval").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("interval", "app", automated()).await?;
    scene.synced("interval", &first).await?;
    // The installation's interval is longer than any test waits.
    let often = json!({"metadata": {"annotations": {"ithaca.dev/interval": "1s"}}});
    scene.patch(&application("interval"), often).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.commit("Change settings").await?;
    scene.repository.push_silently().await?;
    scene.synced("interval", &second).await?;

    let unreadable = json!({"metadata": {"annotations": {"ithaca.dev/interval": "often"}}});
    scene.patch(&application("interval"), unreadable).await?;
    let told = |application: &serde_json::Value| {
        let conditions = application["status"]["conditions"].to_string();
        conditions.contains("UnsupportedWarning")
            && conditions.contains("ithaca.dev/interval: failed to read")
    };
    scene.wait(&application("interval"), "tells of the interval", told).await?;
    Ok(())
}
