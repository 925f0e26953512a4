//! A cluster as a person has it before anything is installed, with a bus and a Git server beside it.
//!
//! In: a folder. Out: a control plane with three nodes and storage, and `helm` to install with.
//! Nothing of Ithaca is in it, not even its definitions.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::{Cluster, ControlPlane, GitServer, Nats, Progress, Repository, Tools, wait_until};

/// A default class and volumes for it, as K3s's provisioner would make them.
const STORAGE: &str = include_str!("empty_cluster/storage.yaml");

/// The running parts. They end when this is dropped.
pub struct EmptyCluster {
    /// State and logs.
    pub dir: PathBuf,
    /// The programs that were built.
    pub tools: Tools,
    /// The cluster.
    pub cluster: Cluster,
    /// A bus for services that run outside of the cluster.
    pub nats: Nats,
    /// The Git server.
    pub git: GitServer,
    _control_plane: ControlPlane,
}

impl EmptyCluster {
    /// Starts it in a folder that [`crate::empty`] has prepared.
    ///
    /// # Errors
    /// When a part fails, with the end of its log.
    pub async fn start(dir: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let tools = Tools::build(progress)?;
        let git = GitServer::start(&dir.join("git"))?;
        Self::beside(git, dir, tools, progress).await
    }

    /// What is there after the whole cluster is lost: another one, and the same Git server.
    ///
    /// # Errors
    /// As [`EmptyCluster::start`].
    pub async fn lost(self, dir: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let Self { tools, git, .. } = self;
        Self::beside(git, dir, tools, progress).await
    }

    async fn beside(git: GitServer, dir: &Path, tools: Tools, progress: &Progress) -> anyhow::Result<Self> {
        progress.step("starting an empty cluster and NATS");
        let (control_plane, nats) =
            tokio::join!(ControlPlane::start(dir, &tools, 3), Nats::start(dir, &tools));
        let control_plane = control_plane?;
        let cluster = Cluster::new(control_plane.kubeconfig.clone(), tools.clone());
        cluster.apply(STORAGE).await?;
        Ok(Self { dir: dir.to_path_buf(), tools, cluster, nats: nats?, git, _control_plane: control_plane })
    }

    /// One for a test, in a folder of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn fresh() -> anyhow::Result<Self> {
        Self::start(&crate::stack::fresh_folder()?, &Progress::silent()).await
    }

    /// A new repository on the Git server, with a working clone.
    ///
    /// # Errors
    /// When Git fails.
    pub async fn repository(&self, name: &str) -> anyhow::Result<Repository> {
        Repository::create(&self.git, &self.dir.join("clones"), name).await
    }

    /// Waits until an Application in the namespace argocd is what Git says, and well.
    ///
    /// # Errors
    /// When it is not within a minute, with what it is.
    pub async fn synced(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{name}");
        wait_until(&format!("{name} is Synced and Healthy"), Duration::from_secs(60), async || {
            let application = self.cluster.get(&path).await?.context("it is not there")?;
            let status = &application["status"];
            let state = (status["sync"]["status"].as_str(), status["health"]["status"].as_str());
            ensure!(state == (Some("Synced"), Some("Healthy")), "it is {state:?}: {}", status["conditions"]);
            Ok(())
        })
        .await
    }

    /// Runs helm on the cluster and returns its standard output.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub async fn helm(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(self.tools.path("helm"))
            .args(arguments)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("HELM_CACHE_HOME", self.dir.join("helm"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        ensure!(
            output.status.success(),
            "failed to run helm {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}
