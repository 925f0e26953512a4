//! Notifications to other systems: a webhook of the operator's is called with what its template says.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use axum::{Router, extract::State, http::StatusCode, routing::post};
use ithaca_tests::{Process, Program, Ready, free_port, wait_until};

use crate::scene::{DEADLINE, Scene, automated, manifest};

#[tokio::test]
async fn a_webhook_gets_what_it_asked_for_while_another_is_down() -> anyhow::Result<()> {
    let scene = Scene::new("notification-webhook").await?;
    let stack = scene.stack;
    let receiver = Receiver::start().await?;
    let config = stack.dir.join("webhooks.yaml");
    std::fs::write(
        &config,
        format!(
            r#"
- name: down
  url: http://127.0.0.1:1/
- name: up
  url: http://127.0.0.1:{}/
  on: [SyncFinished:Succeeded]
  body: '{{"who": {{{{ application.name | tojson }}}}, "what": {{{{ commit.subject | tojson }}}}}}'
"#,
            receiver.port
        ),
    )?;
    // A second notifier shares the work of the first: only its webhooks are its own.
    let http = free_port()?;
    let notifier = Process::start(Program {
        name: "notifier-with-webhooks".to_owned(),
        path: stack.process("notifier")?.program().path.clone(),
        arguments: vec![
            "notifier".to_owned(),
            format!("--nats-url={}", stack.nats.url),
            format!("--http-listen=127.0.0.1:{http}"),
            format!("--webhook-config={}", config.display()),
        ],
        environment: vec![("KUBECONFIG".to_owned(), stack.cluster.kubeconfig().display().to_string())],
        log: stack.dir.join("logs/notifier-with-webhooks.log"),
        ready: Ready::Answers(format!("http://127.0.0.1:{http}/readyz")),
        metrics: None,
    })
    .await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add settings").await?;
    scene.create("notification-webhook", "app", automated()).await?;
    let expected = r#"{"who": "notification-webhook", "what": "Add settings"}"#;
    // It is told all that ever happened on this stack, one after the other, and what is here now at last.
    wait_until("the webhook was called", DEADLINE * 3, async || {
        let received = receiver.received();
        ensure!(received.iter().any(|body| body == expected), "it got {received:?}");
        Ok(())
    })
    .await?;
    // The receiver was busy at first, and busy receivers are tried again.
    ensure!(receiver.refused() > 0, "nothing was tried twice");
    notifier.stop().await
}

/// A receiver of webhooks that refuses its first caller.
struct Receiver {
    port: u16,
    calls: Calls,
}

type Calls = Arc<Mutex<(usize, Vec<String>)>>;

impl Receiver {
    async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let calls = Calls::default();
        let router = Router::new().route("/", post(receive)).with_state(calls.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { port, calls })
    }

    fn received(&self) -> Vec<String> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn refused(&self) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

async fn receive(State(calls): State<Calls>, body: String) -> StatusCode {
    let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    if calls.0 == 0 {
        calls.0 += 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    calls.1.push(body);
    StatusCode::NO_CONTENT
}
