//! Retry: what the cluster refuses is tried again, and a commit that mends it need not wait for that.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, manifest, state};

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

#[tokio::test]
async fn an_operation_that_somebody_asked_for_is_retried_as_it_says() -> anyhow::Result<()> {
    let scene = Scene::new("retry-manual").await?;
    let service = |port: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: front\nspec:\n  ports:\n  - port: {port}\n"
        )
    };
    let publish = async |port: &str| {
        scene.repository.write("app/front.yaml", &service(port))?;
        scene.repository.publish("Change the port").await
    };
    let name = application("retry-manual");
    let sync = json!({"syncOptions": ["CreateNamespace=true"]});
    let retry = |limit: i64, refresh: bool| {
        let backoff = json!({"duration": "1s", "maxDuration": "1s"});
        json!({"sync": sync, "retry": {"limit": limit, "refresh": refresh, "backoff": backoff}})
    };
    let first = publish("99999").await?;
    scene.create("retry-manual", "app", json!({})).await?;
    let app = scene.operate("retry-manual", retry(1, false)).await?;
    ensure!(state(&app)["phase"] == "Failed" && state(&app)["retryCount"] == 1, "{}", state(&app));
    ensure!(state(&app)["message"].to_string().contains("(retried 1 times)"), "{}", state(&app));

    // Without `refresh` each attempt is for the commit of the first.
    scene.patch(&name, json!({"operation": retry(-1, false)})).await?;
    scene.wait(&name, "waits to try again", waits_to_retry).await?;
    let second = publish("80").await?;
    let goes_on = |app: &Value| {
        app["status"]["sync"]["revision"] == second && state(app)["retryCount"].as_u64() > Some(1)
    };
    let app = scene.wait(&name, "knows of the commit and goes on", goes_on).await?;
    let before = state(&app)["retryCount"].as_u64();
    let again = |app: &Value| state(app)["retryCount"].as_u64() > before && waits_to_retry(app);
    let app = scene.wait(&name, "has tried again", again).await?;
    ensure!(state(&app)["syncResult"]["revision"] == first, "{}", state(&app));
    scene.patch(&name, json!({"status": {"operationState": {"phase": "Terminating"}}})).await?;
    scene.wait(&name, "is stopped", |app| state(app)["phase"] == "Failed").await?;

    publish("99999").await?;
    scene.refresh("retry-manual", "normal").await?;
    scene.patch(&name, json!({"operation": retry(-1, true)})).await?;
    scene.wait(&name, "waits to try again", waits_to_retry).await?;
    let last = publish("8080").await?;
    let succeeded = |app: &Value| state(app)["phase"] == "Succeeded";
    let app = scene.wait(&name, "has succeeded", succeeded).await?;
    ensure!(state(&app)["syncResult"]["revision"] == last, "{}", state(&app));
    scene.synced("retry-manual", &last).await?;
    Ok(())
}

/// Running with a time at which it finished: that is how an operation waits.
fn waits_to_retry(app: &Value) -> bool {
    let state = &app["status"]["operationState"];
    let message = state["message"].to_string();
    state["phase"] == "Running" && state["finishedAt"].is_string() && message.contains("Retrying attempt #")
}
