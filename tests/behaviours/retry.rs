//! Retry: what the cluster refuses is tried again, and a commit that mends it need not wait for that.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest};

#[tokio::test]
async fn a_mended_commit_does_not_wait_for_the_next_attempt() -> anyhow::Result<()> {
    let scene = Scene::new("retry-mended").await?;
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": 5, "backoff": {"duration": "10m", "maxDuration": "10m"}});
    let broken =
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: broken\nspec:\n  ports:\n  - port: 99999\n";
    scene.repository.write("app/broken.yaml", broken)?;
    scene.repository.publish("Add a broken service").await?;
    scene.create("retry-mended", "app", spec).await?;
    let app = scene.wait(&application("retry-mended"), "waits to try again", waits_to_retry).await?;
    let message = app["status"]["operationState"]["message"].to_string();
    ensure!(message.contains("broken") && message.contains("99999"), "{message}");
    scene.repository.write("app/broken.yaml", &broken.replace("99999", "80"))?;
    let commit = scene.repository.publish("Mend it").await?;
    scene.synced("retry-mended", &commit).await?;
    Ok(())
}

#[tokio::test]
async fn what_comes_right_in_the_cluster_is_applied_by_the_next_attempt() -> anyhow::Result<()> {
    let scene = Scene::new("retry-later").await?;
    let mut spec = automated();
    spec["destination"] = json!({"namespace": "retry-late"});
    spec["syncPolicy"]["syncOptions"] = json!([]);
    spec["syncPolicy"]["retry"] = json!({"limit": -1, "backoff": {"duration": "1s", "maxDuration": "1s"}});
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("retry-later", "app", spec).await?;
    scene.wait(&application("retry-later"), "waits to try again", waits_to_retry).await?;
    scene.stack.cluster.kubectl(&["create", "namespace", "retry-late"]).await?;
    let app = scene.synced("retry-later", &commit).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["retryCount"].as_u64().is_some_and(|count| count > 0), "{state}");
    ensure!(state["message"].to_string().contains("(retried"), "{state}");
    scene.expect(&config_map("retry-late", "settings")).await?;
    Ok(())
}

/// Running with a time at which it finished: that is how an operation waits.
fn waits_to_retry(app: &Value) -> bool {
    let state = &app["status"]["operationState"];
    let message = state["message"].to_string();
    state["phase"] == "Running" && state["finishedAt"].is_string() && message.contains("Retrying attempt #")
}
