//! The scenario `sync`: one application of many objects, in waves and with hooks.
//!
//! In: a fresh stack. Out: how long the sync takes, and how long a bare client takes that applies the same objects in the
//! same order and waits for the same Deployments and Jobs: what is above that is Ithaca's own.

use std::fmt::{Display, Formatter};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use ithaca_tests::{Progress, Stack, wait_until};
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use super::{SyncArgs, floor, process, quiet, stage::on_stack};

const NAMESPACE: &str = "bench";
const FLOOR: &str = "floor";
const DEADLINE: Duration = Duration::from_secs(600);
const APPLICATION: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/bench";

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    objects: usize,
    waves: usize,
    hooks: usize,
    /// From the creation of the Application to the end of its operation.
    seconds: f64,
    /// A bare client's, with the same waiting.
    floor_seconds: f64,
    /// Bytes of JSON of the Application when it is Synced.
    application_bytes: usize,
    /// The applier's memory before, MiB resident.
    memory_before: f64,
    /// The most that it took until the application was Synced.
    memory_peak: f64,
    /// And what it keeps once nothing happens any more.
    memory_after: f64,
}

/// Runs the scenario.
pub async fn run(args: &SyncArgs) -> anyhow::Result<Report> {
    ensure!(args.waves > 0 && args.objects >= args.waves, "each wave needs an object");
    on_stack(&args.shared, 3, async |stack, progress| measure(args, stack, progress).await).await
}

async fn measure(args: &SyncArgs, stack: &Stack, progress: &Progress) -> anyhow::Result<Report> {
    let repository = stack.repository("bench").await?;
    let objects: Vec<Value> = steps(args, NAMESPACE).into_iter().flatten().collect();
    let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
    repository.write("app/objects.yaml", &documents.join("\n---\n"))?;
    repository.commit("Add all objects").await?;
    repository.push_silently().await?;
    let client = stack.cluster.client().await?;
    for namespace in [NAMESPACE, FLOOR] {
        stack.cluster.kubectl(&["create", "namespace", namespace]).await?;
    }
    quiet::of_everything(stack, &client).await?;
    let memory_before = applier(stack)?.memory_mib;

    progress.step("syncing");
    let started = Instant::now();
    let application = application(&repository.url);
    stack.cluster.apply(&application.to_string()).await?;
    let ended = synced(stack).await?;
    let seconds = started.elapsed().as_secs_f64();
    let memory_peak = applier(stack)?.peak_mib;
    quiet::of_everything(stack, &client).await?;
    let memory_after = applier(stack)?.memory_mib;

    progress.step("measuring the floor");
    stack.process("applier")?.stop().await?;
    let started = Instant::now();
    for step in steps(args, FLOOR) {
        apply_and_wait(&client, &step).await?;
    }
    Ok(Report {
        objects: args.objects,
        waves: args.waves,
        hooks: args.hooks,
        seconds,
        floor_seconds: started.elapsed().as_secs_f64(),
        application_bytes: ended.to_string().len(),
        memory_before,
        memory_peak,
        memory_after,
    })
}

fn applier(stack: &Stack) -> anyhow::Result<process::Usage> {
    let usage = process::usage(stack)?.into_iter().find(|usage| usage.name == "applier");
    usage.context("no applier runs")
}

fn application(url: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "bench", "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "path": "app", "targetRevision": "HEAD"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    })
}

async fn synced(stack: &Stack) -> anyhow::Result<Value> {
    wait_until("the application is Synced", DEADLINE, async || {
        let application = stack.cluster.get(APPLICATION).await?.context("it is not there")?;
        let (sync, state) = (&application["status"]["sync"], &application["status"]["operationState"]);
        let ended = sync["status"] == "Synced" && state["phase"] == "Succeeded";
        ensure!(ended, "it is {sync}, and {}: {}", state["phase"], state["message"]);
        Ok(application)
    })
    .await
}

/// The objects of each step, in order: hooks before, waves, hooks after. Half of the hooks run before, one wave each has
/// one Deployment of one pod, and the rest are ConfigMaps.
fn steps(args: &SyncArgs, namespace: &str) -> Vec<Vec<Value>> {
    let before = args.hooks / 2;
    let hooks = |phase: &'static str, numbers: std::ops::Range<usize>| {
        numbers.map(move |number| vec![job(namespace, phase, number)])
    };
    let waves = (0..args.waves).map(|wave| {
        let numbers = (wave..args.objects).step_by(args.waves);
        numbers.enumerate().map(|(place, number)| object(namespace, wave, number, place == 0)).collect()
    });
    hooks("PreSync", 0..before).chain(waves).chain(hooks("PostSync", before..args.hooks)).collect()
}

fn object(namespace: &str, wave: usize, number: usize, runs: bool) -> Value {
    let name = format!("object-{number:05}");
    let annotations = json!({"argocd.argoproj.io/sync-wave": wave.to_string()});
    let metadata = json!({"name": name, "namespace": namespace, "annotations": annotations});
    if !runs {
        return json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": "value"}});
    }
    let labels = json!({"app": name});
    let containers = json!([{"name": "app", "image": "registry.example.com/app"}]);
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    })
}

fn job(namespace: &str, phase: &str, number: usize) -> Value {
    let annotations =
        json!({"argocd.argoproj.io/hook": phase, "argocd.argoproj.io/sync-wave": number.to_string()});
    let containers = json!([{"name": "work", "image": "registry.example.com/work"}]);
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": format!("hook-{number}"), "namespace": namespace, "annotations": annotations},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": containers}}},
    })
}

/// Applies a step's objects side by side, and waits for what runs.
async fn apply_and_wait(client: &Client, objects: &[Value]) -> anyhow::Result<()> {
    stream::iter(objects)
        .map(|object| floor::apply_object(client, object))
        .buffer_unordered(floor::CONNECTIONS)
        .try_collect::<Vec<()>>()
        .await?;
    for object in objects.iter().filter(|object| object["kind"] != "ConfigMap") {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let (group, kind) = if object["kind"] == "Job" { ("batch", "Job") } else { ("apps", "Deployment") };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), FLOOR, &resource);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut events = std::pin::pin!(watcher(api, config).applied_objects());
        while let Some(live) = events.try_next().await? {
            ensure!(live.name_any() == name, "the watch tells of another object");
            let status = &live.data["status"];
            if status["succeeded"] == 1 || status["availableReplicas"] == 1 {
                break;
            }
        }
    }
    Ok(())
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(out, " {} objects in {} waves, {} hooks\n", self.objects, self.waves, self.hooks)?;
        writeln!(out, " synced                     {:>8.2} s", self.seconds)?;
        writeln!(out, " a bare client, same order  {:>8.2} s", self.floor_seconds)?;
        writeln!(out, " above it                   {:>8.2} s", self.seconds - self.floor_seconds)?;
        writeln!(out, " the Application            {:>8.0} KiB", self.application_bytes as f64 / 1024.0)?;
        writeln!(out, " the applier before         {:>8.1} MiB", self.memory_before)?;
        writeln!(out, " at most                    {:>8.1} MiB", self.memory_peak)?;
        write!(out, " and at rest                {:>8.1} MiB", self.memory_after)
    }
}
