//! What an install refuses: each time with the reason and what to do.

use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{EmptyCluster, Process, Program, Ready, binary, wait_until};

use crate::template::chart;

/// A controller of Argo CD, as its chart and its manifests label it.
const ARGO_CD: &str = "apiVersion: v1
kind: Namespace
metadata: {name: cd}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: argocd-application-controller
  namespace: cd
  labels: {app.kubernetes.io/name: argocd-application-controller, app.kubernetes.io/part-of: argocd}
spec:
  serviceName: argocd-application-controller
  replicas: 1
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: controller, image: argocd}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn an_install_that_would_fight_or_fail_is_refused_and_says_what_to_do() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let chart = chart();
    let install = async |name: &str, namespace: &str, more: &[&str]| {
        let arguments = ["install", name, &chart, "--create-namespace", "--namespace", namespace];
        cluster.helm(&[&arguments, more].concat()).await
    };
    let refused = async |name: &str, namespace: &str, more: &[&str], words: &[&str]| {
        let error = install(name, namespace, more).await.err().context("it is not refused")?.to_string();
        for word in words {
            ensure!(error.contains(word), "{word:?} is not in {error}");
        }
        anyhow::Ok(())
    };

    let words = ["does not know Applications", "--skip-crds", "kubectl apply --server-side -f crds"];
    refused("ithaca", "argocd", &["--skip-crds"], &words).await?;
    let monitored = "--set=monitoring.serviceMonitor.enabled=true";
    refused("ithaca", "argocd", &[monitored], &["Prometheus operator", "Install it first"]).await?;

    cluster.cluster.apply(ARGO_CD).await?;
    let words = ["Argo CD runs in namespace cd", "--replicas=0", "allowBesideArgoCD"];
    refused("ithaca", "argocd", &[], &words).await?;
    cluster
        .cluster
        .kubectl(&["scale", "-n", "cd", "statefulset/argocd-application-controller", "--replicas=0"])
        .await?;
    install("ithaca", "argocd", &[]).await.context("Argo CD is scaled down")?;
    cluster
        .cluster
        .kubectl(&["scale", "-n", "cd", "statefulset/argocd-application-controller", "--replicas=1"])
        .await?;
    cluster.helm(&["upgrade", "ithaca", &chart, "-n", "argocd", "--set=allowBesideArgoCD=true"]).await?;

    let told = "--set=allowBesideArgoCD=true";
    let words = ["release ithaca in namespace argocd", "helm upgrade ithaca -n argocd", "allowSecondInstall"];
    refused("other", "elsewhere", &[told], &words).await?;
    refused("other", "argocd", &[told], &words).await?;
    install("other", "elsewhere", &[told, "--set=allowSecondInstall=true"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_people_are_told_of_missing_definitions() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let kubeconfig = ("KUBECONFIG".to_owned(), cluster.cluster.kubeconfig().display().to_string());
    for service in ["watcher", "applier", "console"] {
        let arguments =
            [service, "--http-listen=127.0.0.1:0", "--nats-url", &cluster.nats.url].map(str::to_owned);
        let own = match service {
            "watcher" => vec!["--grpc-listen=127.0.0.1:0", "--webhook-listen=127.0.0.1:0"],
            "applier" => vec!["--live-listen=127.0.0.1:0"],
            "console" => vec!["--console-listen=127.0.0.1:0"],
            _ => Vec::new(),
        };
        let process = Process::start(Program {
            name: service.to_owned(),
            path: binary()?,
            arguments: arguments.into_iter().chain(own.into_iter().map(str::to_owned)).collect(),
            environment: vec![kubeconfig.clone()],
            log: cluster.dir.join(format!("logs/{service}.log")),
            ready: Ready::Started,
            metrics: None,
        })
        .await?;
        wait_until(&format!("{service} says what to do"), Duration::from_secs(60), async || {
            let log = process.log_tail(20);
            ensure!(log.contains("apply the folder crds"), "{log}");
            Ok(())
        })
        .await?;
    }
    let list = tokio::process::Command::new(binary()?)
        .args(["app", "list"])
        .env("KUBECONFIG", cluster.cluster.kubeconfig())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&list.stderr).into_owned();
    ensure!(!list.status.success() && said.contains("apply the folder crds"), "{said}");
    Ok(())
}
