//! Sync windows: in a closed one nothing is applied, the Application says why, and what waited goes on when it opens.

use anyhow::ensure;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::scene::{
    PROJECTS, Scene, application, automated, config_map, deployment, hook, job, manifest, project,
};

#[tokio::test]
async fn automation_holds_back_and_goes_on_when_the_window_opens() -> anyhow::Result<()> {
    let scene = Scene::new("window-auto").await?;
    let commit = settings(&scene).await?;
    with_windows(&scene, "window-auto", &json!([always("deny")])).await?;
    scene.create("window-auto", "app", of_project("window-auto", automated())).await?;
    let app = scene.wait(&application("window-auto"), "is held back", is_held).await?;
    let status = &app["status"];
    ensure!(status["sync"]["status"] == "OutOfSync" && status["operationState"].is_null(), "{status}");
    let message = status["conditions"][0]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("a deny window of project 'window-auto' is active"), "{message}");
    ensure!(scene.get("/api/v1/namespaces/window-auto").await?.is_none(), "it was applied");
    open(&scene, "window-auto").await?;
    let app = scene.synced("window-auto", &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    scene.expect(&config_map("window-auto", "settings")).await?;
    Ok(())
}

#[tokio::test]
async fn a_manual_operation_waits_for_the_window() -> anyhow::Result<()> {
    let scene = Scene::new("window-manual").await?;
    let commit = settings(&scene).await?;
    with_windows(&scene, "window-manual", &json!([always("deny")])).await?;
    scene.create("window-manual", "app", of_project("window-manual", json!({}))).await?;
    operate(&scene, "window-manual").await?;
    let app = scene.wait(&application("window-manual"), "waits for its window", is_blocked).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Running" && state["finishedAt"].is_null(), "{state}");
    // What waits is planned when it begins: it takes what Git says then.
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change settings").await?;
    ensure!(commit != second);
    scene
        .wait(&application("window-manual"), "knows the second commit", |app| {
            app["status"]["sync"]["revision"] == second
        })
        .await?;
    open(&scene, "window-manual").await?;
    let app = scene.synced("window-manual", &second).await?;
    let after = &app["status"]["operationState"];
    ensure!(after["phase"] == "Succeeded" && after["startedAt"] == state["startedAt"], "{after}");
    ensure!(scene.expect(&config_map("window-manual", "settings")).await?["data"]["value"] == "2");
    Ok(())
}

/// Nothing but the clock tells it.
#[tokio::test]
async fn automation_begins_the_moment_the_window_closes() -> anyhow::Result<()> {
    let scene = Scene::new("window-clock").await?;
    let commit = settings(&scene).await?;
    with_windows(&scene, "window-clock", &json!([always("deny")])).await?;
    scene.create("window-clock", "app", of_project("window-clock", automated())).await?;
    scene.wait(&application("window-clock"), "is held back", is_held).await?;
    let now = Timestamp::now();
    let seconds = now.as_second() % 60 + 20;
    let mut window = always("deny");
    window["schedule"] = json!(now.strftime("%M %H * * *").to_string());
    window["duration"] = json!(format!("{seconds}s"));
    let opens = Timestamp::from_second(now.as_second() + 20)?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let until = format!("until {opens}");
    set_window(&scene, "window-clock", &window).await?;
    let is_told = |app: &Value| {
        let message = app["status"]["conditions"][0]["message"].as_str().unwrap_or_default();
        is_held(app) && message.ends_with(&until)
    };
    scene.wait(&application("window-clock"), &format!("is held back {until}"), is_told).await?;
    let app = scene.synced("window-clock", &commit).await?;
    let started = app["status"]["operationState"]["startedAt"].as_str().unwrap_or_default();
    ensure!(started >= opens.as_str(), "it began at {started}, before {opens}");
    Ok(())
}

#[tokio::test]
async fn people_may_pass_where_the_window_says_so() -> anyhow::Result<()> {
    let scene = Scene::new("window-people").await?;
    let commit = settings(&scene).await?;
    let mut window = always("deny");
    window["manualSync"] = json!(true);
    with_windows(&scene, "window-people", &json!([window])).await?;
    scene.create("window-people", "app", of_project("window-people", automated())).await?;
    scene.wait(&application("window-people"), "is held back", is_held).await?;
    operate(&scene, "window-people").await?;
    scene.synced("window-people", &commit).await?;
    Ok(())
}

#[tokio::test]
async fn an_allow_window_that_is_open_lets_automation_pass() -> anyhow::Result<()> {
    let scene = Scene::new("window-open").await?;
    let commit = settings(&scene).await?;
    let mut other = always("deny");
    other["applications"] = json!(["another"]);
    with_windows(&scene, "window-open", &json!([always("allow"), other])).await?;
    scene.create("window-open", "app", of_project("window-open", automated())).await?;
    scene.synced("window-open", &commit).await?;
    Ok(())
}

#[tokio::test]
async fn a_window_that_cannot_be_read_is_told_and_holds_back() -> anyhow::Result<()> {
    let scene = Scene::new("window-broken").await?;
    settings(&scene).await?;
    let mut window = always("allow");
    window["timeZone"] = json!("Europe/Atlantis");
    with_windows(&scene, "window-broken", &json!([window])).await?;
    scene.create("window-broken", "app", of_project("window-broken", automated())).await?;
    let app = scene.wait(&application("window-broken"), "is held back", is_held).await?;
    let message = app["status"]["conditions"][0]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("project 'window-broken'") && message.contains("Europe/Atlantis"), "{message}");
    Ok(())
}

#[tokio::test]
async fn an_operation_that_waits_can_be_stopped() -> anyhow::Result<()> {
    let scene = Scene::new("window-stopped").await?;
    settings(&scene).await?;
    with_windows(&scene, "window-stopped", &json!([always("deny")])).await?;
    scene.create("window-stopped", "app", of_project("window-stopped", json!({}))).await?;
    operate(&scene, "window-stopped").await?;
    let path = application("window-stopped");
    scene.wait(&path, "waits for its window", is_blocked).await?;
    scene.patch(&path, json!({"status": {"operationState": {"phase": "Terminating"}}})).await?;
    let ended =
        |app: &Value| app["operation"].is_null() && app["status"]["operationState"]["phase"] == "Failed";
    let app = scene.wait(&path, "is stopped", ended).await?;
    let message = &app["status"]["operationState"]["message"];
    ensure!(message == "Operation terminated", "{message}");
    ensure!(scene.get("/api/v1/namespaces/window-stopped").await?.is_none(), "it was applied");
    Ok(())
}

#[tokio::test]
async fn an_operation_that_a_window_catches_midway_waits_and_goes_on() -> anyhow::Result<()> {
    let scene = Scene::new("window-midway").await?;
    let (commit, app) = midway(&scene, "window-midway").await?;
    let uid = async || {
        let job = scene.expect("/apis/batch/v1/namespaces/window-midway/jobs/before").await?;
        anyhow::Ok(job["metadata"]["uid"].clone())
    };
    let before = uid().await?;
    close(&scene, "window-midway", &app, false).await?;
    let_play_in_the_closed(&scene, "window-midway").await?;
    let app = scene.wait(&application("window-midway"), "is caught by the window", is_blocked).await?;
    let state = &app["status"]["operationState"];
    ensure!(state["phase"] == "Running" && state["finishedAt"].is_null(), "{state}");
    let late = config_map("window-midway", "late");
    ensure!(scene.get(&late).await?.is_none(), "it went on");
    open(&scene, "window-midway").await?;
    let app = scene.synced("window-midway", &commit).await?;
    let after = &app["status"]["operationState"];
    ensure!(after["phase"] == "Succeeded" && after["startedAt"] == state["startedAt"], "{after}");
    scene.expect(&late).await?;
    ensure!(uid().await? == before, "its hook ran again");
    Ok(())
}

#[tokio::test]
async fn an_operation_may_overrun_a_window_that_says_so() -> anyhow::Result<()> {
    let scene = Scene::new("window-overrun").await?;
    let (commit, app) = midway(&scene, "window-overrun").await?;
    close(&scene, "window-overrun", &app, true).await?;
    let_play_in_the_closed(&scene, "window-overrun").await?;
    scene.synced("window-overrun", &commit).await?;
    scene.expect(&config_map("window-overrun", "late")).await?;
    Ok(())
}

/// An operation that began with a hook and waits for its first wave.
async fn midway(scene: &Scene<'_>, name: &str) -> anyhow::Result<(String, Value)> {
    let late = manifest("late", "1")
        .replace("  name: late\n", "  name: late\n  annotations:\n    argocd.argoproj.io/sync-wave: \"1\"\n");
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), None))?;
    scene.repository.write("app/first.yaml", &deployment("first", Some("hangs")))?;
    scene.repository.write("app/late.yaml", &late)?;
    let commit = scene.repository.publish("Add a hook and two waves").await?;
    with_windows(scene, name, &json!([always("allow")])).await?;
    scene.create(name, "app", of_project(name, automated())).await?;
    let waits = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Running" && state["message"].to_string().contains("Deployment/first")
    };
    let app = scene.wait(&application(name), "waits for its first wave", waits).await?;
    Ok((commit, app))
}

/// The window in which an operation began is over since the second after.
async fn close(scene: &Scene<'_>, name: &str, app: &Value, overrun: bool) -> anyhow::Result<()> {
    let started = app["status"]["operationState"]["startedAt"].as_str().unwrap_or_default();
    let started: Timestamp = started.parse()?;
    let mut window = always("allow");
    window["schedule"] = json!(started.strftime("%M %H * * *").to_string());
    window["duration"] = json!(format!("{}s", started.as_second() % 60 + 1));
    window["syncOverrun"] = json!(overrun);
    set_window(scene, name, &window).await
}

/// Lets the first wave begin, once an Application that is new shows that the window is known and closed.
async fn let_play_in_the_closed(scene: &Scene<'_>, name: &str) -> anyhow::Result<()> {
    let new = format!("{name}-new");
    scene.create(&new, "app", of_project(name, automated())).await?;
    scene.wait(&application(&new), "is held back", is_held).await?;
    scene.let_play(name).await
}

/// A window that is active at every moment.
fn always(kind: &str) -> Value {
    json!({"kind": kind, "schedule": "* * * * *", "duration": "1h", "applications": ["*"]})
}

async fn with_windows(scene: &Scene<'_>, name: &str, windows: &Value) -> anyhow::Result<()> {
    scene.post(PROJECTS, &project(name, &json!({"syncWindows": windows}))).await
}

/// Opens the gate: the same window allows from now on.
async fn open(scene: &Scene<'_>, name: &str) -> anyhow::Result<()> {
    set_window(scene, name, &always("allow")).await
}

/// The project has this window from now on, and no other.
async fn set_window(scene: &Scene<'_>, name: &str, window: &Value) -> anyhow::Result<()> {
    scene.patch(&format!("{PROJECTS}/{name}"), json!({"spec": {"syncWindows": [window]}})).await
}

async fn operate(scene: &Scene<'_>, name: &str) -> anyhow::Result<()> {
    let sync = json!({"syncOptions": ["CreateNamespace=true"]});
    let operation = json!({"initiatedBy": {"username": "ada"}, "sync": sync});
    scene.patch(&application(name), json!({"operation": operation})).await
}

fn of_project(name: &str, mut spec: Value) -> Value {
    spec["project"] = json!(name);
    spec
}

async fn settings(scene: &Scene<'_>) -> anyhow::Result<String> {
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add settings").await
}

fn is_held(app: &Value) -> bool {
    app["status"]["conditions"][0]["type"] == "SyncWindowWarning"
}

fn is_blocked(app: &Value) -> bool {
    let message = app["status"]["operationState"]["message"].as_str().unwrap_or_default();
    message.starts_with("Sync operation blocked by sync window")
}
