//! Webhook: a push is applied at once, and with a secret only what is signed with it is believed.

use anyhow::ensure;
use ithaca_tests::{Stack, wait_until};
use ring::hmac;
use serde_json::{Value, json};

use crate::scene::{DEADLINE, Scene, automated, config_map, manifest};

#[tokio::test]
async fn with_a_secret_only_a_signed_push_counts() -> anyhow::Result<()> {
    // A stack of its own: the pushes of other tests are not signed.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "webhook").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("webhook", "app", automated()).await?;
    scene.synced("webhook", &first).await?;

    let secret = json!({
        "metadata": {"name": "argocd-secret", "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "stringData": {"webhook.github.secret": "mellon"},
    });
    scene.post("/api/v1/namespaces/argocd/secrets", &secret).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.commit("Change settings").await?;
    scene.repository.push_silently().await?;
    let push = json!({"ref": "refs/heads/main", "repository": {"clone_url": scene.repository.url}});
    wait_until("an unsigned push is refused", DEADLINE, async || {
        let status =
            post(&stack, &json!({"repository": {"clone_url": "https://example.com/a.git"}}), None).await?;
        ensure!(status == 401, "it gets {status}");
        Ok(())
    })
    .await?;
    ensure!(post(&stack, &push, Some("friend")).await? == 401, "a wrong signature was accepted");
    ensure!(post(&stack, &push, None).await? == 401, "a missing signature was accepted");
    ensure!(scene.expect(&config_map("webhook", "settings")).await?["data"]["value"] == "1");
    ensure!(post(&stack, &push, Some("mellon")).await? == 200, "a right signature was refused");
    scene.synced("webhook", &second).await?;
    ensure!(scene.expect(&config_map("webhook", "settings")).await?["data"]["value"] == "2");

    // A value may stand in another Secret, once that is a part of Argo CD.
    let path = "/api/v1/namespaces/argocd/secrets";
    let vault = json!({"metadata": {"name": "vault"}, "stringData": {"github": "friend"}});
    scene.post(path, &vault).await?;
    let reference = json!({"stringData": {"webhook.github.secret": "$vault:github"}});
    scene.patch(&format!("{path}/argocd-secret"), reference).await?;
    let gets = async |secret: &str, expected: u16| {
        wait_until(&format!("a push signed with {secret} gets {expected}"), DEADLINE, async || {
            let status = post(&stack, &push, Some(secret)).await?;
            ensure!(status == expected, "it gets {status}");
            Ok(())
        })
        .await
    };
    gets("mellon", 401).await?;
    ensure!(post(&stack, &push, Some("friend")).await? == 401, "any Secret may be referred to");
    let label = json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "argocd"}}});
    scene.patch(&format!("{path}/vault"), label).await?;
    gets("friend", 200).await?;
    stack.stop().await
}

/// Posts a push, signed with a secret, and returns the status.
async fn post(stack: &Stack, push: &Value, secret: Option<&str>) -> anyhow::Result<u16> {
    let body = serde_json::to_vec(push)?;
    let url = &stack.services()?.webhook;
    let mut request = reqwest::Client::new().post(url).header("X-GitHub-Event", "push");
    if let Some(secret) = secret {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hex::encode(hmac::sign(&key, &body));
        request = request.header("X-Hub-Signature-256", format!("sha256={signature}"));
    }
    Ok(request.body(body).send().await?.status().as_u16())
}
