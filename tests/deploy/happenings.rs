//! A short life of a fleet, with all that dashboards and alerts speak of: a sync, drift that is put right, a sync that
//! fails, a source that cannot be read, an Application that never comes up, and a recovery.
//!
//! In: a fresh stack, and the Prometheus that watch it. Out: a past that has something to show for each panel.

use std::time::Duration;

use anyhow::ensure;
use ithaca_tests::{Prometheus, Repository, Stack, wait_until};
use serde_json::json;

/// What a machine under load may take for anything that is waited for.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Ports end at 65,535: the API server refuses it.
const REFUSED: &str = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "refused"},
    "spec": {"ports": [{"port": 70000}]}}"#;

/// Nobody can parse this.
const UNREADABLE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n";

/// A pod that crashes, and a deployment that soon gives up.
const CRASHING: &str = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "player"},
    "spec": {"progressDeadlineSeconds": 1, "selector": {"matchLabels": {"app": "player"}},
        "template": {"metadata": {"labels": {"app": "player"}, "annotations": {"ithaca.dev/plays": "crashes"}},
            "spec": {"containers": [{"name": "player", "image": "registry.example.com/player"}]}}}}"#;

/// Lets it all happen, one after the other. Each step waits until every Prometheus has seen it.
pub async fn happen(stack: &Stack, watching: &[Prometheus]) -> anyhow::Result<()> {
    let fleet = Fleet { stack, watching, repository: stack.repository("fleet").await? };
    fleet.repository.write("steady/settings.yaml", &settings("1"))?;
    fleet.repository.write("unreadable/settings.yaml", UNREADABLE)?;
    fleet.repository.write("unwell/player.yaml", CRASHING)?;
    fleet.repository.publish("Add three applications").await?;
    for name in ["steady", "unreadable", "unwell"] {
        fleet.create(name).await?;
    }
    fleet.becomes("steady", &["sync_status=\"Synced\"", "health_status=\"Healthy\""]).await?;
    fleet.becomes("unreadable", &["sync_status=\"Unknown\""]).await?;
    fleet.becomes("unwell", &["health_status=\"Degraded\""]).await?;

    fleet.seen("argocd_app_sync_total{name=\"steady\", phase=\"Failed\"} == 0").await?;
    fleet.seen("ithaca_apply_drift_corrected_total{name=\"steady\"} == 0").await?;
    let edit = ["patch", "configmap", "settings", "-n", "steady", "--type=merge", "-p"];
    // A histogram shows nothing before the second thing that it counts.
    for times in 1..=2 {
        stack.cluster.kubectl(&[&edit[..], &[r#"{"data": {"value": "edited"}}"#]].concat()).await?;
        fleet.seen(&format!("ithaca_apply_drift_corrected_total{{name=\"steady\"}} >= {times}")).await?;
    }

    fleet.repository.write("steady/refused.yaml", REFUSED)?;
    fleet.repository.publish("Ask for what is refused").await?;
    fleet.seen("argocd_app_sync_total{name=\"steady\", phase=\"Failed\"} > 0").await?;
    fleet.becomes("steady", &["sync_status=\"OutOfSync\"", "autosync_enabled=\"true\""]).await?;

    fleet.repository.remove("steady/refused.yaml")?;
    fleet.repository.write("steady/settings.yaml", &settings("2"))?;
    fleet.repository.publish("Mend it").await?;
    fleet.becomes("steady", &["sync_status=\"Synced\"", "health_status=\"Healthy\""]).await?;
    // Somebody looks at the web page.
    reqwest::get(&stack.services()?.console).await?.error_for_status()?;
    Ok(())
}

struct Fleet<'a> {
    stack: &'a Stack,
    watching: &'a [Prometheus],
    repository: Repository,
}

impl Fleet<'_> {
    /// An Application of the folder of its own name, into the namespace of its own name.
    async fn create(&self, name: &str) -> anyhow::Result<()> {
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {
                "project": "default",
                "source": {"repoURL": self.repository.url, "path": name, "targetRevision": "HEAD"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
                "syncPolicy": {
                    "automated": {"prune": true, "selfHeal": true},
                    "syncOptions": ["CreateNamespace=true"],
                    // An operation that fails ends, and does not wait to try again.
                    "retry": {"limit": 0},
                },
            },
        });
        self.stack.cluster.apply(&application.to_string()).await
    }

    async fn becomes(&self, name: &str, labels: &[&str]) -> anyhow::Result<()> {
        self.seen(&format!("argocd_app_info{{name=\"{name}\", {}}}", labels.join(", "))).await
    }

    async fn seen(&self, expression: &str) -> anyhow::Result<()> {
        for prometheus in self.watching {
            wait_until(&format!("there is {expression}"), DEADLINE, async || {
                ensure!(!prometheus.now(expression).await?.is_empty(), "there is none");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

fn settings(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  value: \"{value}\"\n")
}
