//! What a page needs: a control plane, NATS and the console, shared by all tests of this binary.
//!
//! In: nothing. Out: the addresses of the console, Applications by their name and status, events on the bus.

use std::time::Duration;

use anyhow::Context;
use ithaca_bus::Bus;
use ithaca_proto::v1::{ApplicationRef, Event, event::Fact};
use ithaca_tests::{
    Options, Process, Program, Progress, Ready, Stack, Tools, empty, free_port, target_folder,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The commit that all Applications here are at.
pub const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
/// What a machine under load may take for anything that is waited for.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct Stage {
    stack: Stack,
    _console: Process,
    /// Where the page is.
    pub url: String,
}

impl Stage {
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceCell<Result<Stage, String>> = OnceCell::const_new();
        let set = async || Self::set().await.map_err(|error| format!("{error:#}"));
        SHARED.get_or_init(set).await.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    async fn set() -> anyhow::Result<Self> {
        let progress = Progress::silent();
        let tools = Tools::build(&progress)?;
        let dir = target_folder().join("stacks").join(format!("{}-browser", std::process::id()));
        empty(&dir)?;
        let options =
            Options { dir, nodes: 0, kubeconfig: None, binary: None, appliers: 1, for_tests: false };
        let stack = Stack::start(options, tools, &progress).await?;
        stack.cluster.lists("applications").await?;
        let (console, url) = console(&stack).await?;
        Ok(Self { stack, _console: console, url })
    }

    /// A console of a test's own, to be stopped and started.
    pub async fn own_console(&self) -> anyhow::Result<(Process, String)> {
        console(&self.stack).await
    }

    /// The page of an Application.
    pub fn page(&self, name: &str) -> String {
        format!("{}/applications/argocd/{name}", self.url)
    }

    /// Makes an Application or gives it another status.
    pub async fn put(&self, name: &str, status: Value) -> anyhow::Result<()> {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {
                "project": "default",
                "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
                "source": {"repoURL": "https://git.example.org/home/lab.git", "path": format!("apps/{name}")},
            },
            "status": status,
        });
        self.stack.cluster.apply(&object.to_string()).await
    }

    pub async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.stack.cluster.kubectl(&["delete", "application", name, "-n", "argocd"]).await.map(drop)
    }

    /// Says that something happened to an Application.
    pub async fn say(&self, name: &str, fact: Fact) -> anyhow::Result<()> {
        let path = format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{name}");
        let application = self.stack.cluster.get(&path).await?.context("it is not there")?;
        let uid = application["metadata"]["uid"].as_str().context("it has no uid")?.to_owned();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros();
        let event = Event {
            id: format!("{uid}-{now}"),
            application: Some(ApplicationRef { uid, namespace: "argocd".to_owned(), name: name.to_owned() }),
            project: "default".to_owned(),
            happened_at: i64::try_from(now)?,
            fact: Some(fact),
        };
        let args = ithaca_bus::Args {
            nats_url: self.stack.nats.url.clone(),
            nats_credentials: None,
            nats_token: None,
            nats_replicas: 1,
        };
        let bus = Bus::connect(&args, "browser test").await?;
        bus.publish_event(&event).await?;
        bus.close().await;
        Ok(())
    }
}

/// A status with a state of each kind.
pub fn status(sync: &str, health: &str) -> Value {
    json!({"sync": {"status": sync, "revision": REVISION}, "health": {"status": health}})
}

async fn console(stack: &Stack) -> anyhow::Result<(Process, String)> {
    let (http, page) = (free_port()?, free_port()?);
    let process = Process::start(Program {
        name: format!("console-{page}"),
        path: std::env::var_os("ITHACA_BINARY")
            .map_or_else(|| target_folder().join("debug/ithaca"), std::path::PathBuf::from),
        arguments: vec![
            "console".to_owned(),
            format!("--nats-url={}", stack.nats.url),
            format!("--http-listen=127.0.0.1:{http}"),
            format!("--console-listen=127.0.0.1:{page}"),
        ],
        environment: vec![("KUBECONFIG".to_owned(), stack.cluster.kubeconfig().display().to_string())],
        log: stack.dir.join(format!("logs/console-{page}.log")),
        ready: Ready::Answers(format!("http://127.0.0.1:{http}/readyz")),
        metrics: None,
    })
    .await?;
    Ok((process, format!("http://127.0.0.1:{page}")))
}
