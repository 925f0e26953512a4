//! The scenario `recover`: a whole cluster is lost, and comes back from Git with the file it was made from.
//!
//! In: an empty cluster and a repository of Applications. Out: how long each step took the first time and after the loss.
//! K3s is played: its Helm controller by `helm`, its nodes by processes with the accounts of the chart.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ithaca_tests::{EmptyCluster, HelmController, Kubelet, Progress, Repository, wait_until};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{ManyArgs, workload};
use crate::prerequisites;

const DEADLINE: Duration = Duration::from_secs(1800);
const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    applications: usize,
    objects: usize,
    first: Steps,
    recovered: Steps,
}

/// Seconds since the file was put into K3s's folder.
#[derive(Serialize)]
struct Steps {
    chart_installed: f64,
    services_ready: f64,
    all_synced: f64,
}

/// Runs the scenario.
pub async fn run(args: &ManyArgs) -> anyhow::Result<Report> {
    prerequisites::to_build()?;
    ensure!(args.apps > 0, "at least one application is needed");
    let progress = Progress::shown();
    let binary = args.shared.binary(&progress)?;
    ithaca_tests::empty(&args.shared.dir)?;
    let cluster = EmptyCluster::start(&args.shared.dir.join("first"), &progress).await?;
    let repository = publish(args, &cluster).await?;
    let file = bootstrap(&binary, &repository.url).await?;
    let (first, before) = raise(&cluster, &binary, &file, args.apps, &progress).await?;

    progress.step("losing the cluster");
    let cluster = cluster.lost(&args.shared.dir.join("second"), &progress).await?;
    let (recovered, after) = raise(&cluster, &binary, &file, args.apps, &progress).await?;
    progress.finish();
    let missing: Vec<_> = before.symmetric_difference(&after).collect();
    ensure!(missing.is_empty(), "the clusters differ in {missing:?}");
    Ok(Report { applications: args.apps, objects: after.len(), first, recovered })
}

/// From an empty cluster and the file to all that Git wants.
async fn raise(
    cluster: &EmptyCluster,
    binary: &Path,
    file: &str,
    apps: usize,
    progress: &Progress,
) -> anyhow::Result<(Steps, BTreeSet<String>)> {
    let k3s = HelmController::start(cluster).await?;
    progress.step("installing from the bootstrap file");
    let started = Instant::now();
    let seconds = || started.elapsed().as_secs_f64();
    k3s.take(file).await?;
    let chart_installed = seconds();
    let _services = Kubelet::start(cluster, binary.to_path_buf(), "argocd").await?;
    let services_ready = seconds();
    progress.step("waiting for everything");
    let objects =
        wait_until("all Applications are Synced", DEADLINE, async || all_synced(cluster, apps).await).await?;
    Ok((Steps { chart_installed, services_ready, all_synced: seconds() }, objects))
}

/// What the Applications manage, once all are there and Synced.
async fn all_synced(cluster: &EmptyCluster, apps: usize) -> anyhow::Result<BTreeSet<String>> {
    let list = cluster.cluster.get(APPLICATIONS).await?.context("no Applications are known")?;
    let applications = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let synced = |application: &&Value| application["status"]["sync"]["status"] == "Synced";
    let count = applications.iter().filter(synced).count();
    // The root Application is one more.
    ensure!(count == apps + 1, "{count} of {} are Synced", apps + 1);
    let resources = applications.iter().flat_map(|application| application["status"]["resources"].as_array());
    let name = |object: &Value| {
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}/{}", text("kind"), text("namespace"), text("name"))
    };
    Ok(resources.flatten().map(name).collect())
}

/// The root Application's folder and the folders of all others.
async fn publish(args: &ManyArgs, cluster: &EmptyCluster) -> anyhow::Result<Repository> {
    let repository = cluster.repository("bench").await?;
    workload::write(args.source, args.apps, &repository)?;
    for number in 0..args.apps {
        let application = workload::application(args.source, number, &repository.url);
        repository.write(&format!("bootstrap/{}.json", workload::name(number)), &application.to_string())?;
    }
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": workload::NAMESPACE}});
    repository.write("bootstrap/namespace.json", &namespace.to_string())?;
    repository.commit("Add all applications").await?;
    repository.push_silently().await?;
    Ok(repository)
}

async fn bootstrap(binary: &Path, url: &str) -> anyhow::Result<String> {
    let arguments = ["bootstrap", "--repo", url, "--path", "bootstrap"];
    let output = Command::new(binary).args(arguments).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(f, " {} applications, {} objects from Git\n", self.applications, self.objects)?;
        writeln!(f, " seconds since the file was there   first  after the loss")?;
        let rows = [
            ("the chart is installed", self.first.chart_installed, self.recovered.chart_installed),
            ("all services are ready", self.first.services_ready, self.recovered.services_ready),
            ("all Applications are Synced", self.first.all_synced, self.recovered.all_synced),
        ];
        for (what, first, recovered) in rows {
            writeln!(f, " {what:<34} {first:>5.1}  {recovered:>14.1}")?;
        }
        Ok(())
    }
}
