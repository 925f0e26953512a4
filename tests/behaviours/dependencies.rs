//! Dependencies between Applications: a sync waits for others, a deletion the other way round.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, deployment, manifest};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

async fn create(scene: &Scene<'_>, name: &str, path: &str, depends_on: &str) -> anyhow::Result<()> {
    let mut app = scene.application(name, path, &automated());
    app["metadata"]["annotations"] = json!({"ithaca.dev/depends-on": depends_on});
    app["metadata"]["finalizers"] = json!([FINALIZER]);
    scene.post("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", &app).await
}

fn tells(words: &str) -> impl Fn(&Value) -> bool {
    move |app| app["status"]["conditions"].to_string().contains(words)
}

#[tokio::test]
async fn an_application_waits_until_those_before_it_are_well() -> anyhow::Result<()> {
    let scene = Scene::new("depends").await?;
    scene.repository.write("base/base.yaml", &deployment("base", Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add a base and what stands on it").await?;
    create(&scene, "depends-app", "app", "depends-base").await?;
    let app = application("depends-app");
    scene
        .wait(&app, "waits for one that is not there", tells("there is no Application depends-base"))
        .await?;
    create(&scene, "depends-base", "base", "").await?;
    scene
        .wait(&app, "waits for one that is not well", tells("depends-base is Synced and Progressing"))
        .await?;
    ensure!(scene.get(&config_map("depends-app", "settings")).await?.is_none(), "it did not wait");
    scene.let_play("depends-base").await?;
    let told = scene.synced("depends-app", &first).await?;
    ensure!(told["status"]["conditions"].is_null(), "{}", told["status"]["conditions"]);

    // One commit changes both: the base comes first.
    scene.repository.write("base/base.yaml", &deployment("base-2", Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change both").await?;
    scene.wait(&app, "waits again", tells("waiting for other Applications: depends-base")).await?;
    scene.let_play("depends-base").await?;
    scene.synced("depends-app", &second).await?;
    ensure!(
        scene.expect(&config_map("depends-app", "settings")).await?["data"]["value"] == "2",
        "not applied"
    );

    // Both go: the base last.
    scene
        .patch(
            &config_map("depends-app", "settings"),
            json!({"metadata": {"finalizers": ["example.com/holds"]}}),
        )
        .await?;
    scene.delete(&app).await?;
    scene.delete(&application("depends-base")).await?;
    scene
        .wait(
            &application("depends-base"),
            "waits for its dependent",
            tells("depend on it to go first: depends-app"),
        )
        .await?;
    scene.expect("/apis/apps/v1/namespaces/depends-base/deployments/base-2").await?;
    scene.patch(&config_map("depends-app", "settings"), json!({"metadata": {"finalizers": null}})).await?;
    scene.gone(&app).await?;
    scene.gone(&application("depends-base")).await
}

#[tokio::test]
async fn a_circle_is_told() -> anyhow::Result<()> {
    let scene = Scene::new("depends-circle").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    create(&scene, "circle-one", "app", "circle-two").await?;
    create(&scene, "circle-two", "app", "circle-one").await?;
    for name in ["circle-one", "circle-two"] {
        scene.wait(&application(name), "tells of the circle", tells("makes a circle")).await?;
    }
    let without = json!({"metadata": {"annotations": {"ithaca.dev/depends-on": null}}});
    scene.patch(&application("circle-two"), without).await?;
    scene.synced("circle-two", &commit).await?;
    scene.synced("circle-one", &commit).await.map(drop)
}
