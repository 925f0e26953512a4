//! Ithaca manages itself: the chart is a child of the root Application, and commits configure, upgrade and break it.

use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{EmptyCluster, Kubelet, Repository, binary, sample, wait_until};
use serde_json::Value;

use crate::template::{chart, helm};

/// The user's wrapper around the chart, as they would have one around another.
const WRAPPER: &str = "apiVersion: v2
name: gitops
version: 1.0.0
dependencies:
- {name: ithaca, version: 0.1.0, repository: 'https://charts.example.org'}
";
const VALUES: &str = "ithaca:
  fullnameOverride: ithaca
  progressDeadlineSeconds: 5
";
/// The applier's new pod does not start before somebody lets it.
const UPGRADE: &str = "ithaca:
  fullnameOverride: ithaca
  log: debug
  image: {tag: 0.2.0}
  applier: {podAnnotations: {ithaca.dev/plays: hangs}}
";
/// What the user's wrapper adds, in a later wave.
const AFTER: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: after
  annotations: {argocd.argoproj.io/sync-wave: '1'}
";
const AFTER_PATH: &str = "/api/v1/namespaces/argocd/configmaps/after";
const APPLICATION: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/ithaca";

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_configures_upgrades_and_breaks_it_and_a_revert_mends_it() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let installed = [
        "install",
        "ithaca",
        &chart(),
        "--create-namespace",
        "--namespace=argocd",
        "--set=progressDeadlineSeconds=5",
    ];
    cluster.helm(&installed).await?;
    let kubelet = Kubelet::start(&cluster, binary()?, "argocd").await?;
    let home = Home { repository: cluster.repository("home").await?, on: &cluster };
    home.start().await?;
    cluster.cluster.apply(&sample::root_application_of(&home.repository.url, "apps")).await?;
    cluster.synced("root").await?;
    cluster.synced("ithaca").await?;
    // Taking over what helm installed restarts nothing but what the commit says.
    kubelet.follow().await?;

    // A change of values arrives in every service, the applier that applies it included.
    let commit = home.commit(&format!("{VALUES}  log: debug\n"), "Log more").await?;
    follow_until_synced(&home, &kubelet, &commit).await?;
    let replaced = kubelet.process("applier")?;
    ensure!(
        replaced.program().environment.contains(&("ITHACA_LOG".to_owned(), "debug".to_owned())),
        "the old applier runs"
    );
    let ended = home.application().await?;
    ensure!(
        ended["status"]["operationState"]["phase"] == "Succeeded",
        "{}",
        ended["status"]["operationState"]
    );

    // The applier is replaced in the middle of its own upgrade: the wave that has its Deployment waits for the new pod,
    // and what comes after is left to the new applier.
    home.repository.write("gitops/templates/after.yaml", AFTER)?;
    let commit = home.commit(UPGRADE, "Upgrade").await?;
    wait_until("the new applier runs", Duration::from_secs(60), async || {
        ensure!(kubelet.follow().await?.contains(&"applier".to_owned()), "it is the old one");
        Ok(())
    })
    .await?;
    // Whichever of the two appliers tells of it.
    home.wait("the operation waits for the new pod", |application| {
        let phase = &application["status"]["operationState"]["phase"];
        ensure!(phase == "Running", "it is {phase}");
        Ok(())
    })
    .await?;
    ensure!(cluster.cluster.get(AFTER_PATH).await?.is_none(), "the second wave did not wait");
    let starts =
        ["annotate", "pods", "-n=argocd", "-l=app.kubernetes.io/component=applier", "ithaca.dev/plays-"];
    cluster.cluster.kubectl(&starts).await?;
    follow_until_synced(&home, &kubelet, &commit).await?;
    ensure!(cluster.cluster.get(AFTER_PATH).await?.is_some(), "the second wave was lost");
    let ended = home.application().await?;
    ensure!(
        ended["status"]["operationState"]["phase"] == "Succeeded",
        "{}",
        ended["status"]["operationState"]
    );
    let history = ended["status"]["history"].as_array().context("no history")?;
    let of_commit = history.iter().filter(|entry| entry["revision"] == commit.as_str()).count();
    ensure!(of_commit == 1, "the upgrade is {of_commit} times in the history");

    // An image that never gets ready: it is told, and the old pods go on.
    let bad = format!(
        "{VALUES}  log: debug\n  image: {{tag: 0.3.0}}\n  applier: {{podAnnotations: {{ithaca.dev/plays: hangs}}}}\n"
    );
    home.commit(&bad, "Upgrade to what never starts").await?;
    home.wait("it is Degraded", |application| {
        let health = &application["status"]["health"]["status"];
        ensure!(health == "Degraded", "it is {health}");
        Ok(())
    })
    .await?;
    let path = "/apis/apps/v1/namespaces/argocd/deployments/ithaca-applier";
    let applier = cluster.cluster.get(path).await?.context("no applier")?;
    ensure!(applier["status"]["availableReplicas"] == 1, "the old pod is gone: {}", applier["status"]);

    let commit = home.repository.revert().await?;
    home.repository.push().await?;
    follow_until_synced(&home, &kubelet, &commit).await?;
    cluster.synced("ithaca").await
}

/// Does what a node does until the commit is applied and every process is the one that it asks for.
async fn follow_until_synced(home: &Home<'_>, kubelet: &Kubelet<'_>, commit: &str) -> anyhow::Result<()> {
    wait_until(&format!("{commit} is applied and runs"), Duration::from_secs(90), async || {
        let replaced = kubelet.follow().await?;
        ensure!(replaced.is_empty(), "{replaced:?} were replaced just now");
        let status = home.application().await?["status"].clone();
        let sync = &status["sync"];
        ensure!(sync["revision"] == commit && sync["status"] == "Synced", "it is {sync}");
        ensure!(status["health"]["status"] == "Healthy", "it is {}", status["health"]);
        ensure!(status["operationState"]["phase"] != "Running", "it runs still");
        Ok(())
    })
    .await
}

/// The user's repository: the wrapper chart and the Application that installs it.
struct Home<'a> {
    repository: Repository,
    on: &'a EmptyCluster,
}

impl Home<'_> {
    async fn start(&self) -> anyhow::Result<()> {
        let charts = self.repository.folder.join("gitops/charts");
        std::fs::create_dir_all(&charts)?;
        helm(&["package", &chart(), "--destination", &charts.display().to_string()], "")?;
        self.repository.write("gitops/Chart.yaml", WRAPPER)?;
        self.repository.write("apps/ithaca.yaml", &application(&self.repository.url))?;
        self.commit(VALUES, "Start at home").await?;
        Ok(())
    }

    async fn commit(&self, values: &str, message: &str) -> anyhow::Result<String> {
        self.repository.write("gitops/values.yaml", values)?;
        self.repository.publish(message).await
    }

    async fn application(&self) -> anyhow::Result<Value> {
        self.on.cluster.get(APPLICATION).await?.context("it is not there")
    }

    async fn wait(&self, what: &str, probe: impl Fn(&Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
        wait_until(what, Duration::from_secs(60), async || probe(&self.application().await?)).await
    }
}

fn application(url: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: ithaca, namespace: argocd}}
spec:
  project: default
  source: {{repoURL: '{url}', path: gitops, targetRevision: HEAD, helm: {{releaseName: ithaca}}}}
  destination: {{server: 'https://kubernetes.default.svc', namespace: argocd}}
  syncPolicy: {{automated: {{prune: true, selfHeal: true}}}}
"
    )
}
