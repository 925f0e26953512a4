//! The services run under the accounts, arguments and environment that the chart gives them: nothing that they need is
//! missing, and what they must not do is refused by the API server.

use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{Cluster, EmptyCluster, Kubelet, binary, sample, wait_until};
use serde_json::json;

use crate::template::chart;

/// What each account must not do, as kubectl says it.
const FORBIDDEN: [(&str, &[&str]); 20] = [
    ("watcher", &["create", "namespace", "forbidden"]),
    ("watcher", &["annotate", "application/root", "-n", "argocd", "a=b"]),
    ("watcher", &["get", "secrets", "-n", "website"]),
    ("watcher", &["get", "configmap/other", "-n", "argocd"]),
    ("watcher", &["get", "appprojects", "-n", "website"]),
    ("watcher", &["annotate", "application/web", "-n", "apps-team", "a=b"]),
    ("watcher", &["get", "deployments", "-n", "website"]),
    ("watcher", &["delete", "crd/applications.argoproj.io"]),
    ("renderer", &["get", "applications", "-n", "argocd"]),
    ("renderer", &["get", "configmap/argocd-cm", "-n", "argocd"]),
    ("renderer", &["get", "namespaces"]),
    ("notifier", &["get", "applications", "-n", "argocd"]),
    ("notifier", &["get", "secrets", "-n", "argocd"]),
    ("notifier", &["delete", "events", "--all", "-n", "argocd"]),
    ("notifier", &["get", "events", "-n", "apps-team"]),
    ("notifier", &["create", "configmap", "a", "-n", "argocd"]),
    ("console", &["annotate", "application/root", "-n", "argocd", "a=b"]),
    ("console", &["get", "secrets", "-n", "argocd"]),
    ("console", &["annotate", "application/web", "-n", "apps-team", "a=b"]),
    ("console", &["delete", "application/root", "-n", "argocd"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_syncs_under_the_rights_of_the_chart_and_no_more_is_granted() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let below = "--set=server.ingress.enabled=true,server.ingress.path=/cd";
    let elsewhere = "--set=configs.params.application\\.namespaces=apps-*";
    let install =
        ["install", "ithaca", &chart(), "--create-namespace", "--namespace=argocd", below, elsewhere];
    cluster.helm(&install).await?;
    let kubelet = Kubelet::start(&cluster, binary()?, "argocd").await?;
    let repository = cluster.repository("sample").await?;
    sample::publish(&repository).await?;
    cluster.cluster.apply(&of_team(&repository.url)).await?;
    cluster.cluster.apply(&sample::root_application(&repository)?).await?;
    for name in ["root", "gateway", "notes", "website"] {
        cluster.synced(name).await?;
    }
    written_by_the_notifier(&cluster.cluster, "argocd").await?;
    written_by_the_notifier(&cluster.cluster, "apps-team").await?;
    ensure!(
        kubelet.webhook()?.ends_with("/cd/api/webhook"),
        "webhooks are not below the path of the Ingress"
    );
    let page = reqwest::get(kubelet.console()?).await?;
    ensure!(
        page.status() == 200 && page.text().await?.contains("website"),
        "no page below the path of the Ingress"
    );
    for service in ["watcher", "renderer", "notifier", "console"] {
        let account = kubelet.account(&format!("ithaca-{service}")).await?;
        let kubeconfig = cluster.dir.join(format!("as-{service}.kubeconfig"));
        std::fs::write(&kubeconfig, account)?;
        let as_service = Cluster::new(kubeconfig, cluster.tools.clone());
        for (_, words) in FORBIDDEN.iter().filter(|(of, _)| *of == service) {
            let refused = as_service.kubectl(words).await.err();
            let refused = refused.with_context(|| format!("{service} may {words:?}"))?.to_string();
            ensure!(
                refused.contains("(Forbidden)") || refused.contains("forbidden:"),
                "{service} {words:?}: {refused}"
            );
        }
    }
    Ok(())
}

/// Waits for Events of Ithaca's in a namespace.
async fn written_by_the_notifier(cluster: &Cluster, namespace: &str) -> anyhow::Result<()> {
    wait_until(
        &format!("the notifier has written Events in {namespace}"),
        Duration::from_secs(60),
        async || {
            let events = cluster.get(&format!("/api/v1/namespaces/{namespace}/events")).await?;
            let events = events.context("no events")?;
            let all = events["items"].as_array().into_iter().flatten();
            ensure!(
                all.filter(|event| event["source"]["component"] == "ithaca").count() > 0,
                "there is none"
            );
            Ok(())
        },
    )
    .await
}

/// An Application in the namespace of a team, with its project.
fn of_team(repository: &str) -> String {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps-team"}});
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "team", "namespace": "argocd"},
        "spec": {
            "sourceNamespaces": ["apps-*"],
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "apps-team"}],
        },
    });
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": "apps-team"},
        "spec": {
            "project": "team",
            "source": {"repoURL": repository, "path": "lab/notes/manifests", "targetRevision": "HEAD"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "apps-team"},
            "syncPolicy": {"automated": {}},
        },
    });
    [namespace, project, application].map(|object| object.to_string()).join("\n---\n")
}
