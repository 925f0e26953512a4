//! The scenario `apply`: create applications, change them, make them drift, leave them alone.
//!
//! In: a fresh stack. Out: a [`Report`]. The floor is measured last, on the same API server, with Ithaca stopped.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::{StreamExt, TryStreamExt, pin_mut, stream};
use ithaca_tests::{Progress, Repository, Stack};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::report::{Idle, Latency, Report};
use super::stage::on_stack;
use super::{ApplyArgs, api_server, floor, latency, process, quiet, workload};

const SYNC_DEADLINE: Duration = Duration::from_secs(1800);

/// Runs the scenario.
pub async fn run(args: &ApplyArgs) -> anyhow::Result<Report> {
    ensure!(args.many.apps > 0, "at least one application is needed");
    on_stack(&args.many.shared, 3, async |stack, progress| measure(args, stack, progress).await).await
}

async fn measure(args: &ApplyArgs, stack: &Stack, progress: &Progress) -> anyhow::Result<Report> {
    progress.step("publishing the repository");
    let repository = publish(args, stack).await?;
    let client = stack.cluster.client().await?;
    stack.cluster.kubectl(&["create", "namespace", workload::NAMESPACE]).await?;
    quiet::of_everything(stack, &client).await?;

    progress.step("creating the applications");
    let before = api_server::writes(&client).await?;
    let synced_seconds = create(args, &client, &repository).await?.as_secs_f64();
    let usage = process::usage(stack)?;
    let writes = api_server::writes(&client).await?.since(before);

    progress.step("waiting for rest");
    quiet::of_everything(stack, &client).await?;
    progress.step("timing commits");
    let commits = commits(args, stack, &repository, &client).await?;
    progress.step("timing drift");
    let drift = drift(args, &client).await?;
    progress.step("waiting for rest");
    quiet::of_everything(stack, &client).await?;
    progress.step("measuring rest");
    let idle = idle(args, stack, &client).await?;
    let usage_at_end = process::usage(stack)?;

    progress.step("measuring the floor");
    for service in &stack.services()?.processes {
        service.stop().await?;
    }
    let floor_seconds = floor::measure(&client, args.many.apps).await?.as_secs_f64();
    Ok(Report {
        applications: args.many.apps,
        source: args.many.source.name(),
        synced_seconds,
        floor_seconds,
        ratio_to_floor: synced_seconds / floor_seconds,
        writes_until_synced: writes,
        commit_to_applied: commits,
        drift_repaired: drift,
        idle,
        usage_when_synced: usage,
        usage_at_end,
    })
}

async fn publish(args: &ApplyArgs, stack: &Stack) -> anyhow::Result<Repository> {
    let repository = stack.repository("bench").await?;
    workload::write(args.many.source, args.many.apps, &repository)?;
    repository.commit("Add all applications").await?;
    repository.push_silently().await?;
    Ok(repository)
}

/// Creates all Applications at once; the time runs until the last of them is Synced.
async fn create(args: &ApplyArgs, client: &Client, repository: &Repository) -> anyhow::Result<Duration> {
    let numbers = 0..args.many.apps;
    let all = numbers.map(|number| workload::application(args.many.source, number, &repository.url));
    let started = Instant::now();
    let synced = all_synced(applications(client), args.many.apps);
    let both = async { tokio::try_join!(create_all(client, all), synced) };
    tokio::time::timeout(SYNC_DEADLINE, both)
        .await
        .with_context(|| format!("not all applications are Synced after {SYNC_DEADLINE:?}"))??;
    Ok(started.elapsed())
}

/// Creates Applications, eight at a time.
pub async fn create_all(client: &Client, all: impl Iterator<Item = Value>) -> anyhow::Result<()> {
    let objects = all.map(serde_json::from_value).collect::<Result<Vec<DynamicObject>, _>>()?;
    let (applications, params) = (applications(client), PostParams::default());
    let requests = objects.iter().map(|object| applications.create(&params, object));
    stream::iter(requests).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    Ok(())
}

/// Deletes all Applications. They have no finalizers, so they are gone then.
pub async fn delete_all(client: &Client) -> anyhow::Result<()> {
    applications(client).delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    Ok(())
}

fn applications(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"));
    Api::namespaced_with(client.clone(), "argocd", &resource)
}

async fn all_synced(applications: Api<DynamicObject>, count: usize) -> anyhow::Result<()> {
    let mut synced = HashSet::new();
    let events = watcher(applications, watcher::Config::default()).applied_objects();
    pin_mut!(events);
    while let Some(application) = events.try_next().await? {
        if application.data["status"]["sync"]["status"] == "Synced" {
            synced.insert(application.name_any());
        }
        if synced.len() == count {
            return Ok(());
        }
    }
    bail!("the watch of Applications ended")
}

async fn commits(
    args: &ApplyArgs,
    stack: &Stack,
    repository: &Repository,
    client: &Client,
) -> anyhow::Result<Latency> {
    let mut times = Vec::new();
    for version in 1..=args.commits {
        // Commits take the even numbers and edits the odd ones: self-heal backs off where it has just healed.
        let number = chosen(args.many.apps, 2 * (version - 1));
        times.push(latency::commit(stack, repository, client, args.many.source, number, version).await?);
        quiet::of_ithaca(client).await?;
    }
    Ok(Latency::of(times))
}

async fn drift(args: &ApplyArgs, client: &Client) -> anyhow::Result<Latency> {
    let mut times = Vec::new();
    // An application that was healed waits longer the next time, so each is edited once.
    for edit in 0..args.edits.min(args.many.apps / 2) {
        let number = chosen(args.many.apps, 2 * edit + 1);
        times.push(latency::drift(client, args.many.source, number, &workload::image(0)).await?);
        quiet::of_ithaca(client).await?;
    }
    Ok(Latency::of(times))
}

/// The number of an application; neighbours in time are far apart.
fn chosen(apps: usize, turn: usize) -> usize {
    turn % apps
}

async fn idle(args: &ApplyArgs, stack: &Stack, client: &Client) -> anyhow::Result<Idle> {
    let (writes, cpu) = (api_server::writes(client).await?, process::service_cpu(stack)?);
    tokio::time::sleep(Duration::from_secs(args.idle)).await;
    Ok(Idle {
        seconds: args.idle,
        cpu_seconds: process::service_cpu(stack)? - cpu,
        writes: api_server::writes(client).await?.since(writes),
    })
}
