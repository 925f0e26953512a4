//! The chart's life on a cluster: installed, tested, upgraded, rolled back, uninstalled.
//!
//! Its pods are played; what runs in them is tried elsewhere.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{EmptyCluster, wait_until};

use crate::template::chart;

const NAMESPACE: &str = "apiVersion: v1
kind: Namespace
metadata:
  name: argocd
  labels: {pod-security.kubernetes.io/enforce: restricted}
";
const VALUES: &str = "
nats: {replicas: 3}
renderer: {replicas: 3}
applier: {replicas: 2}
console: {replicas: 2}
rootApplication: {repoURL: 'https://git.example.org/home.git', path: bootstrap}
server: {ingress: {enabled: true, hostname: cd.example.org}}
";
const ROOT: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root";

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_tested_upgraded_rolled_back_and_uninstalled() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let release = Release { on: &cluster, chart: chart() };

    cluster.cluster.apply(NAMESPACE).await?;
    release.run("install", VALUES).await?;
    // Pods are there although the namespace admits restricted ones alone, and several share no node.
    ensure!(release.nodes("renderer").await?.len() == 3, "renderers share a node");
    ensure!(release.nodes("applier").await?.len() == 2, "appliers share a node");
    ensure!(release.nodes("nats").await?.len() == 3, "NATS servers share a node");
    cluster.helm(&["test", "ithaca", "--namespace", "argocd"]).await?;

    // Git says what the root Application is, not the release.
    let patch = r#"{"spec": {"source": {"path": "elsewhere"}}}"#;
    let patch = [
        "patch",
        "application",
        "root",
        "-n",
        "argocd",
        "--type=merge",
        "--field-manager=argocd-controller",
        "-p",
        patch,
    ];
    cluster.cluster.kubectl(&patch).await?;
    release.run("upgrade", &format!("{VALUES}\nlog: debug\n")).await?;
    ensure!(release.log_level().await? == "debug", "the upgrade did not arrive");
    let root = cluster.cluster.get(ROOT).await?.context("the upgrade deleted the root Application")?;
    ensure!(root["spec"]["source"]["path"] == "elsewhere", "the upgrade changed it: {root}");

    cluster.helm(&["rollback", "ithaca", "1", "--namespace", "argocd", "--wait"]).await?;
    ensure!(release.log_level().await? == "info", "the rollback did not arrive");
    ensure!(cluster.cluster.get(ROOT).await?.is_some(), "the rollback deleted the root Application");

    cluster.helm(&["uninstall", "ithaca", "--namespace", "argocd", "--wait"]).await?;
    ensure!(cluster.cluster.get(ROOT).await?.is_some(), "the uninstall deleted an Application");
    // What the controllers made for the release goes after it.
    wait_until("nothing but volumes is left", Duration::from_secs(60), async || {
        let left = ["get", "all,networkpolicy,ingress,pvc", "-n", "argocd", "-o", "name"];
        let left = cluster.cluster.kubectl(&left).await?;
        let volumes_alone =
            left.lines().all(|name| name.starts_with("persistentvolumeclaim/") || name.starts_with("pod/"));
        ensure!(volumes_alone, "the uninstall left\n{left}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_installs_over_definitions_that_argo_cd_left() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let crds = PathBuf::from(chart()).join("crds").display().to_string();
    cluster.cluster.kubectl(&["apply", "--server-side", "--field-manager=helm-argo-cd", "-f", &crds]).await?;
    let label = ["label", "crd", "applications.argoproj.io", "app.kubernetes.io/managed-by=Helm"];
    cluster.cluster.kubectl(&label).await?;
    cluster.cluster.lists("applications.argoproj.io").await?;
    let release = Release { on: &cluster, chart: chart() };
    cluster.cluster.apply(NAMESPACE).await?;
    release.run("install", VALUES).await?;
    ensure!(cluster.cluster.get(ROOT).await?.is_some(), "no root Application");
    Ok(())
}

struct Release<'a> {
    on: &'a EmptyCluster,
    chart: String,
}

impl Release<'_> {
    /// `helm install` or `helm upgrade`, until everything is ready.
    async fn run(&self, what: &str, values: &str) -> anyhow::Result<()> {
        let file = self.on.dir.join("values.yaml");
        std::fs::write(&file, values)?;
        let file = file.display().to_string();
        let arguments =
            [what, "ithaca", &self.chart, "--namespace=argocd", "--wait", "--timeout=2m", "--values", &file];
        self.on.helm(&arguments).await?;
        Ok(())
    }

    /// Where the pods of a service are.
    async fn nodes(&self, service: &str) -> anyhow::Result<BTreeSet<String>> {
        let selector = format!("labelSelector=app.kubernetes.io%2Fcomponent%3D{service}");
        let path = format!("/api/v1/namespaces/argocd/pods?{selector}");
        let pods = self.on.cluster.get(&path).await?.context("no pods")?;
        let nodes = pods["items"].as_array().into_iter().flatten();
        Ok(nodes.filter_map(|pod| pod["spec"]["nodeName"].as_str()).map(str::to_owned).collect())
    }

    async fn log_level(&self) -> anyhow::Result<String> {
        let path = "/apis/apps/v1/namespaces/argocd/deployments/ithaca-applier";
        let applier = self.on.cluster.get(path).await?.context("no applier")?;
        let variables = applier["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned();
        let log = variables.into_iter().flatten().find(|variable| variable["name"] == "ITHACA_LOG");
        let level = log.as_ref().and_then(|variable| variable["value"].as_str().map(str::to_owned));
        level.with_context(|| format!("no level in {}", applier["spec"]))
    }
}
