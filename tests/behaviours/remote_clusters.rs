//! Applications that go to other clusters: each is reached as its Secret says, and one that is down concerns nobody but
//! those that go there.

use anyhow::{Context, ensure};
use ithaca_tests::wait_until;
use serde_json::{Value, json};

use crate::remote::{Remote, SECRETS, by_name, secret};
use crate::scene::{DEADLINE, PROJECTS, Scene, application, automated, config_map, manifest, project};

fn by_server(server: &str) -> Value {
    let mut spec = automated();
    spec["destination"] = json!({"server": server});
    spec
}

#[tokio::test]
async fn a_remote_cluster_gets_its_objects_and_keeps_them() -> anyhow::Result<()> {
    let scene = Scene::new("remote").await?;
    let remote = Remote::start(scene.stack, "remote").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;

    scene.create("remote-unknown", "app", by_name("remote")).await?;
    let unknown = "there are no clusters with this name or server: remote";
    let app = scene.told("remote-unknown", "InvalidSpecError", unknown).await?;
    ensure!(app["status"]["health"]["status"] == "Unknown", "{}", app["status"]);

    // Somebody mistypes the token: it is told, and mended without a restart.
    scene.post(SECRETS, &remote.secret("remote", "wr0ng")).await?;
    let app = scene.told("remote-unknown", "ComparisonError", "it refuses the credentials").await?;
    ensure!(!app["status"].to_string().contains("wr0ng"), "{}", app["status"]);
    scene.patch(&format!("{SECRETS}/remote"), remote.secret("remote", "admin")).await?;
    scene.synced("remote-unknown", &commit).await?;
    remote.holds(&config_map("remote-unknown", "settings"), "1").await?;
    ensure!(scene.get(&config_map("remote-unknown", "settings")).await?.is_none(), "it is here as well");

    scene.create("remote-server", "app", by_server(&format!("{}/", remote.server))).await?;
    scene.synced("remote-server", &commit).await?;
    let path = config_map("remote-server", "settings");
    remote.holds(&path, "1").await?;
    let drift = ["-n", "remote-server", "patch", "configmap", "settings", "-p", r#"{"data":{"value":"2"}}"#];
    remote.cluster.kubectl(&drift).await?;
    remote.holds(&path, "1").await?;

    // Other credentials, without a restart: what the token may no longer do, a certificate may.
    scene.patch(&format!("{SECRETS}/remote"), remote.secret("remote", "0ld")).await?;
    scene.told("remote-server", "ComparisonError", "it refuses the credentials").await?;
    let certificate = json!({"stringData": {"config": remote.certificate()?.to_string()}});
    scene.patch(&format!("{SECRETS}/remote"), certificate).await?;
    remote.cluster.kubectl(&drift).await?;
    remote.holds(&path, "1").await?;

    scene.delete(&application("remote-server")).await?;
    scene.gone(&application("remote-server")).await?;

    // Without its cluster an Application goes, and its objects stay.
    let finalizer = json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}});
    scene.patch(&application("remote-unknown"), finalizer).await?;
    scene.delete(&format!("{SECRETS}/remote")).await?;
    scene.told("remote-unknown", "InvalidSpecError", unknown).await?;
    scene.delete(&application("remote-unknown")).await?;
    scene.gone(&application("remote-unknown")).await?;
    remote.holds(&config_map("remote-unknown", "settings"), "1").await
}

#[tokio::test]
async fn a_program_may_give_the_credentials_and_a_project_may_own_the_cluster() -> anyhow::Result<()> {
    let scene = Scene::new("exec").await?;
    let remote = Remote::start(scene.stack, "exec-remote").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let script = r#"echo '{"kind":"ExecCredential","status":{"token":"'$TOKEN'"}}'"#;
    let exec = json!({"command": "sh", "args": ["-c", script], "env": {"TOKEN": "admin"}});
    let config = remote.config(&json!({"execProviderConfig": exec}));
    scene.post(SECRETS, &secret("exec", &remote.server, &config)).await?;
    scene.create("exec", "app", by_name("exec")).await?;
    scene.synced("exec", &commit).await?;
    remote.holds(&config_map("exec", "settings"), "1").await?;

    let scoped = json!({"permitOnlyProjectScopedClusters": true});
    scene.post(PROJECTS, &project("exec", &scoped)).await?;
    let mut spec = by_name("exec");
    spec["project"] = json!("exec");
    scene.create("exec-scoped", "app", spec).await?;
    scene.told("exec-scoped", "InvalidSpecError", "do not match any of the allowed destinations").await?;
    scene.patch(&format!("{SECRETS}/exec"), json!({"stringData": {"project": "exec"}})).await?;
    scene.synced("exec-scoped", &commit).await?;

    // Only the named namespaces are managed from now on.
    let kept = json!({"stringData": {"namespaces": "exec"}});
    scene.patch(&format!("{SECRETS}/exec"), kept).await?;
    scene.told("exec-scoped", "ComparisonError", "Namespace \"exec-scoped\" for ConfigMap").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let commit = scene.repository.publish("Change settings").await?;
    scene.synced("exec", &commit).await?;
    remote.holds(&config_map("exec", "settings"), "2").await?;

    // Nothing shows that a cluster is skipped, so it has another name from the same moment on.
    let skip = json!({
        "metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}},
        "stringData": {"name": "exec-skipped"},
    });
    scene.patch(&format!("{SECRETS}/exec"), skip).await?;
    let unknown = "there are no clusters with this name or server: exec";
    scene.told("exec", "InvalidSpecError", unknown).await?;
    scene.create("exec-skipped", "app", by_name("exec-skipped")).await?;
    // What is done for another afterwards is the proof that nothing was still to come.
    scene.create("exec-here", "app", automated()).await?;
    scene.synced("exec-here", &commit).await?;
    let skipped = scene.expect(&application("exec-skipped")).await?;
    ensure!(skipped["status"].is_null(), "{}", skipped["status"]);
    Ok(())
}

/// Each renewal was told as an outage.
#[tokio::test]
async fn certificates_of_a_program_are_made_anew_and_nobody_is_told() -> anyhow::Result<()> {
    let scene = Scene::new("exec-anew").await?;
    let remote = Remote::start(scene.stack, "exec-anew-remote").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let status = json!({
        "clientCertificateData": std::fs::read_to_string(&remote.plane.client_certificate)?,
        "clientKeyData": std::fs::read_to_string(&remote.plane.client_key)?,
        "expirationTimestamp": "2026-01-01T00:00:00Z",
    });
    let given = json!({"kind": "ExecCredential", "status": status}).to_string();
    let log = scene.stack.dir.join("exec-anew-asked");
    let script = r#"echo asked >> "$LOG"; printf '%s' "$GIVEN""#;
    let exec = json!({"command": "sh", "args": ["-c", script], "env": {"GIVEN": given, "LOG": log}});
    let config = remote.config(&json!({"execProviderConfig": exec}));
    scene.post(SECRETS, &secret("exec-anew", &remote.server, &config)).await?;
    scene.create("exec-anew", "app", by_name("exec-anew")).await?;
    let before = scene.synced("exec-anew", &commit).await?;
    let asked = || anyhow::Ok(std::fs::read_to_string(&log)?.lines().count());
    let so_far = asked()?;
    // Each time it is asked twice: whether another connection is needed, and for that one.
    wait_until("there is another connection, and time has passed", DEADLINE, async || {
        let asked = asked()?;
        ensure!(asked > so_far + 2, "it was asked {asked} times, and before {so_far} times");
        Ok(())
    })
    .await?;
    let after = scene.expect(&application("exec-anew")).await?;
    let version = |app: &Value| app["metadata"]["resourceVersion"].clone();
    ensure!(version(&after) == version(&before), "it was written: {}", after["status"]);
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_is_down_concerns_only_those_that_go_there() -> anyhow::Result<()> {
    let scene = Scene::new("down").await?;
    let remote = Remote::start(scene.stack, "down-remote").await?;
    let api_server = remote.plane.processes.iter().find(|process| process.program().name == "kube-apiserver");
    let api_server = api_server.context("there is no API server")?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.post(SECRETS, &remote.secret("down", "admin")).await?;
    // More than there are workers.
    let all: Vec<_> = (0..10).map(|number| format!("down-{number}")).collect();
    for name in &all {
        scene.create(name, "app", by_name("down")).await?;
    }
    for name in &all {
        scene.synced(name, &commit).await?;
    }
    // It takes connections and answers nobody.
    api_server.freeze()?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let commit = scene.repository.publish("Change settings").await?;
    scene.create("down-here", "app", automated()).await?;
    scene.synced("down-here", &commit).await?;
    for name in &all {
        scene.told(name, "ComparisonError", "it does not answer").await?;
    }
    let app = scene.told("down-0", "ComparisonError", &remote.server).await?;
    ensure!(app["status"]["sync"]["status"] == "Unknown", "{}", app["status"]);
    api_server.thaw()?;
    reached(&scene, "down-0").await?;
    for name in &all {
        scene.synced(name, &commit).await?;
        remote.holds(&config_map(name, "settings"), "2").await?;
    }
    api_server.kill()?;
    scene.told("down-0", "ComparisonError", "refused").await?;
    let before = scene.expect(&application("down-0")).await?;
    scene.create("down-here-too", "app", automated()).await?;
    scene.synced("down-here-too", &commit).await?;
    let after = scene.expect(&application("down-0")).await?;
    ensure!(before == after, "it was written while nothing changed: {after}");
    api_server.restart().await?;
    reached(&scene, "down-0").await?;
    scene.synced("down-0", &commit).await?;
    Ok(())
}

/// Waits until the cluster of an Application is reached again: it is asked ever less often, at last twice a minute.
async fn reached(scene: &Scene<'_>, name: &str) -> anyhow::Result<()> {
    wait_until("the cluster is reached again", DEADLINE * 2, async || {
        let conditions = &scene.expect(&application(name)).await?["status"]["conditions"];
        ensure!(conditions.is_null(), "{conditions}");
        Ok(())
    })
    .await
}
