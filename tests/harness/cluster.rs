//! Short verbs on the cluster, for tests: read an object, apply YAML, run kubectl.
//!
//! In: a kubeconfig and the folder of kubectl. Out: JSON as the API server gives it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::{Tools, wait_until};

/// A cluster that a test or the stack talks to.
#[derive(Clone)]
pub struct Cluster {
    kubeconfig: PathBuf,
    tools: Tools,
}

impl Cluster {
    /// The cluster that the file names.
    #[must_use]
    pub fn new(kubeconfig: PathBuf, tools: Tools) -> Self {
        Self { kubeconfig, tools }
    }

    /// The file that names it.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client that belongs to the current runtime.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        Ok(kube::Client::try_from(config)?)
    }

    /// What is at a path of the API, as in `/apis/apps/v1/namespaces/web/deployments/web`; `None` where nothing is.
    ///
    /// # Errors
    /// When the API server cannot be asked or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let request = http::Request::get(path).body(Vec::new())?;
        match self.client().await?.request::<Value>(request).await {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| format!("failed to get {path}")),
        }
    }

    /// Applies YAML documents as a person would: `kubectl apply --server-side`.
    ///
    /// # Errors
    /// With what kubectl says.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<()> {
        let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.kubectl_with(&arguments, yaml).await?;
        Ok(())
    }

    /// Waits until kubectl knows a kind. The API server serves a new one a moment before it lists it, and kubectl and helm
    /// go by the list.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub async fn lists(&self, kind: &str) -> anyhow::Result<()> {
        wait_until(&format!("the API server lists {kind}"), Duration::from_secs(60), async || {
            self.kubectl(&["get", kind, "--all-namespaces"]).await.map(drop)
        })
        .await
    }

    /// Runs kubectl and returns its standard output.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.kubectl_with(arguments, "").await
    }

    async fn kubectl_with(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let mut kubectl = Command::new(self.tools.path("kubectl"))
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("failed to start kubectl")?;
        let mut stdin = kubectl.stdin.take().context("kubectl has no input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = kubectl.wait_with_output().await?;
        ensure!(
            output.status.success(),
            "failed to run kubectl {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}
