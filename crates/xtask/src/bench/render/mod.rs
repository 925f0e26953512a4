//! The scenario `render`: many charts in one repository from a cold start, pushes that change one of them or none, and the
//! memory that large repositories take.
//!
//! In: a fresh stack, of which watcher and renderer run. Out: a [`Report`]. What is compared is `helm template` itself, run
//! as often on the same charts, as many at once as there are cores.

mod bundles;
mod floor;
mod report;

use std::time::{Duration, Instant};

use anyhow::ensure;
use ithaca_tests::{Progress, Repository, Stack};
use serde_json::{Value, json};

use self::bundles::Bundles;
use self::report::{Cold, Large, Pushes, Report};
use super::process::{self, Usage};
use super::report::Latency;
use super::stage::on_stack;
use super::workload::{self, Kind};
use super::{RenderArgs, apply};

/// After so long without a bundle a push has had all its effects.
const SILENCE: Duration = Duration::from_secs(1);

/// Applications of each large repository.
const READERS: usize = 10;

/// Files in a folder of a large repository: what one of its applications reads.
const FOLDER: usize = 10;

/// Runs the scenario.
pub async fn run(args: &RenderArgs) -> anyhow::Result<Report> {
    ensure!(args.apps > 0, "at least one application is needed");
    on_stack(&args.shared, 0, async |stack, progress| measure(args, stack, progress).await).await
}

async fn measure(args: &RenderArgs, stack: &Stack, progress: &Progress) -> anyhow::Result<Report> {
    for service in &stack.services()?.processes {
        service.stop().await?;
    }
    let mut bundles = Bundles::follow(&stack.nats.url).await?;
    progress.step("publishing the charts");
    let repository = stack.repository("bench").await?;
    workload::write(Kind::Helm, args.apps, &repository)?;
    repository.commit("Add all charts").await?;
    repository.push_silently().await?;
    let applications =
        (0..args.apps).map(|number| workload::application(Kind::Helm, number, &repository.url));
    apply::create_all(&stack.cluster.client().await?, applications).await?;

    progress.step("measuring helm itself");
    let floor = floor::measure(&stack.tools.path("helm"), &repository, args.apps, progress).await?;
    progress.step("rendering from a cold start");
    let cold = cold_start(args, stack, &mut bundles, progress).await?;
    bundles.until_silent(SILENCE).await?;
    progress.step("pushing changes of one");
    let changing = pushes(args, stack, &repository, &mut bundles, Change::One).await?;
    progress.step("pushing changes of none");
    let idle = pushes(args, stack, &repository, &mut bundles, Change::None).await?;
    let after_charts = both(stack)?;
    progress.step("publishing large repositories");
    let large = large(args, stack, &mut bundles, progress).await?;
    Ok(Report { applications: args.apps, floor, cold, changing, idle, after_charts, large })
}

/// Watcher and renderer start where nothing was fetched or rendered yet; all Applications are there.
async fn cold_start(
    args: &RenderArgs,
    stack: &Stack,
    bundles: &mut Bundles,
    progress: &Progress,
) -> anyhow::Result<Cold> {
    let started = Instant::now();
    let busy = process::machine_busy()?;
    start(stack)?;
    bundles.wait_for("app-", args.apps, |done| progress.detail(&format!("{done} of {}", args.apps))).await?;
    let seconds = started.elapsed().as_secs_f64();
    let cores = std::thread::available_parallelism()?.get() as f64;
    Ok(Cold { seconds, busy: (process::machine_busy()? - busy) / seconds / cores, usage: both(stack)? })
}

fn start(stack: &Stack) -> anyhow::Result<()> {
    stack.process("watcher")?.launch()?;
    stack.process("renderer")?.launch()
}

/// What a push changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The values of one chart.
    One,
    /// A file that no chart reads.
    None,
}

async fn pushes(
    args: &RenderArgs,
    stack: &Stack,
    repository: &Repository,
    bundles: &mut Bundles,
    change: Change,
) -> anyhow::Result<Pushes> {
    let before = cpu(stack)?;
    let (mut times, mut rendered) = (Vec::new(), Vec::new());
    for version in 1..=args.pushes {
        let number = version % args.apps;
        let old = repository.head().await?;
        match change {
            Change::One => {
                for (path, text) in workload::files(Kind::Helm, number, version) {
                    repository.write(&path, &text)?;
                }
            }
            Change::None => repository.write("README.md", &format!("Read {version}\n"))?,
        }
        let new = repository.commit(&format!("Change {version}")).await?;
        repository.push_silently().await?;
        let announced = Instant::now();
        stack.git.announce(repository, &old, &new).await?;
        if change == Change::One {
            let arrived = bundles.arrival(&workload::name(number), &new).await?;
            times.push(arrived - announced);
        }
        rendered.extend(bundles.until_silent(SILENCE).await?);
    }
    let cpu_each = (cpu(stack)? - before) / args.pushes as f64;
    let count = times.len() + rendered.len();
    Ok(Pushes { count: args.pushes, rendered: count, latency: Latency::of(times), cpu_each })
}

/// Repositories of many files, with a few applications each; watcher and renderer start anew.
async fn large(
    args: &RenderArgs,
    stack: &Stack,
    bundles: &mut Bundles,
    progress: &Progress,
) -> anyhow::Result<Large> {
    let mut applications = Vec::new();
    for number in 0..args.repositories {
        progress.detail(&format!("{} of {}", number + 1, args.repositories));
        let repository = stack.repository(&format!("large-{number}")).await?;
        for file in 0..args.files {
            repository.write(&file_path(file), &file_text(number, file))?;
        }
        repository.commit("Add all files").await?;
        repository.push_silently().await?;
        applications.extend((0..READERS).map(|reader| application(&repository.url, number, reader)));
    }
    let count = applications.len();
    for name in ["watcher", "renderer"] {
        stack.process(name)?.stop().await?;
    }
    let client = stack.cluster.client().await?;
    apply::delete_all(&client).await?;
    apply::create_all(&client, applications.into_iter()).await?;
    progress.step("reading large repositories");
    let started = Instant::now();
    start(stack)?;
    bundles.wait_for("large-", count, |done| progress.detail(&format!("{done} of {count}"))).await?;
    let seconds = started.elapsed().as_secs_f64();
    bundles.until_silent(SILENCE).await?;
    Ok(Large { repositories: args.repositories, files: args.files, seconds, usage: both(stack)? })
}

fn file_path(file: usize) -> String {
    format!("folder-{:04}/file-{:05}.yaml", file / FOLDER, file)
}

fn file_text(repository: usize, file: usize) -> String {
    let name = format!("large-{repository}-{file}");
    let data = json!({"text": name.repeat(20)});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}).to_string()
}

fn application(url: &str, repository: usize, reader: usize) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": format!("large-{repository}-{reader}"), "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "path": format!("folder-{reader:04}"), "targetRevision": "HEAD"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": workload::NAMESPACE},
        },
    })
}

/// Watcher and renderer.
fn both(stack: &Stack) -> anyhow::Result<[Usage; 2]> {
    Ok([process::usage_of(stack.process("watcher")?)?, process::usage_of(stack.process("renderer")?)?])
}

/// CPU seconds of watcher, renderer and the bus.
fn cpu(stack: &Stack) -> anyhow::Result<f64> {
    let used = ["watcher", "renderer", "nats-server"];
    used.into_iter().map(|name| Ok(process::usage_of(stack.process(name)?)?.cpu_seconds)).sum()
}
