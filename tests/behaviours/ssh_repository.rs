//! A repository over SSH is read with the key of its Secret from a host that is known, and from no other.

use anyhow::ensure;
use ithaca_tests::SshServer;
use serde_json::json;

use crate::private_repository::{says, secret};
use crate::scene::{Scene, application, automated, config_map, manifest};

const SECRETS: &str = "/api/v1/namespaces/argocd/secrets";
const KNOWN_HOSTS: &str = "argocd-ssh-known-hosts-cm";

#[tokio::test]
async fn a_repository_over_ssh_is_read_once_its_host_is_known() -> anyhow::Result<()> {
    let scene = Scene::new("over-ssh").await?;
    let server = SshServer::start(&scene.stack.dir.join("sshd")).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    let url = server.url(&scene.repository.bare);
    let data = json!({"url": url, "sshPrivateKey": server.key});
    scene.post(SECRETS, &secret("over-ssh", "repository", &data)).await?;
    let mut spec = automated();
    spec["source"] = json!({"repoURL": url});
    scene.create("over-ssh", "app", spec).await?;
    let path = application("over-ssh");
    let app = scene.wait(&path, "says where to add the host", says(KNOWN_HOSTS)).await?;
    ensure!(says("SHA256:")(&app), "the fingerprint is missing: {}", app["status"]["conditions"]);

    let known = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": KNOWN_HOSTS, "namespace": "argocd"},
        "data": {"ssh_known_hosts": server.known_host},
    });
    scene.stack.cluster.apply(&known.to_string()).await?;
    let app = scene.synced("over-ssh", &first).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);

    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change settings").await?;
    scene.refresh("over-ssh", "normal").await?;
    scene.synced("over-ssh", &second).await?;
    ensure!(scene.expect(&config_map("over-ssh", "settings")).await?["data"]["value"] == "2");
    ensure!(!app.to_string().contains("PRIVATE KEY"), "a key is in the Application");
    Ok(())
}
