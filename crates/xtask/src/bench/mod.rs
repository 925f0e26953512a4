//! `cargo xtask bench`: how fast and how large Ithaca is, on a real control plane on this machine.
//!
//! In: the number and kind of applications. Out: a report, as a table or as JSON.
//! Everything shares the machine's cores, the API server included: numbers compare with each other, not with other machines.

mod api_server;
mod apply;
mod floor;
mod latency;
mod process;
mod quiet;
mod recover;
mod render;
mod report;
mod stage;
mod sync;
mod workload;

use std::fmt::Display;
use std::path::PathBuf;

use clap::Subcommand;
use ithaca_tests::{Progress, target_folder};
use serde::Serialize;

use crate::build;
pub use workload::Kind;

/// Options of `bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Create applications of 4 objects each, change them, make them drift, leave them alone
    Apply(ApplyArgs),
    /// Lose a whole cluster, and bring it back from Git with its bootstrap file
    Recover(ManyArgs),
    /// Render many charts of one repository, and what pushes change; compared with helm itself
    Render(RenderArgs),
    /// Sync one application of many objects, in waves and with hooks
    Sync(SyncArgs),
}

/// Options of the scenarios with many applications.
#[derive(clap::Args)]
pub struct ManyArgs {
    #[command(flatten)]
    shared: SharedArgs,
    /// How many applications of 4 objects
    #[arg(long, default_value_t = 100)]
    apps: usize,
    /// What their sources are
    #[arg(long, value_enum, default_value_t = Kind::Dir)]
    source: Kind,
}

/// Options of `bench render`.
#[derive(clap::Args)]
pub struct RenderArgs {
    #[command(flatten)]
    shared: SharedArgs,
    /// How many charts, all in one repository
    #[arg(long, default_value_t = 1000)]
    apps: usize,
    /// How many pushes of each kind are timed, one after the other
    #[arg(long, default_value_t = 20)]
    pushes: usize,
    /// How many large repositories, with 10 applications each
    #[arg(long, default_value_t = 10)]
    repositories: usize,
    /// How many files each of them has
    #[arg(long, default_value_t = 10_000)]
    files: usize,
}

/// Options of `bench sync`.
#[derive(clap::Args)]
pub struct SyncArgs {
    #[command(flatten)]
    shared: SharedArgs,
    /// How many objects, hooks not counted
    #[arg(long, default_value_t = 300)]
    objects: usize,
    /// In how many waves
    #[arg(long, default_value_t = 10)]
    waves: usize,
    /// How many hooks, one after the other
    #[arg(long, default_value_t = 5)]
    hooks: usize,
}

/// Options of every scenario.
#[derive(clap::Args)]
pub struct SharedArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Holds all state and logs, and is emptied first
    #[arg(long, default_value_os_t = target_folder().join("bench"))]
    dir: PathBuf,
    /// Measure this binary instead of building the release
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl SharedArgs {
    /// The binary that is measured, built where none was named.
    fn binary(&self, progress: &Progress) -> anyhow::Result<PathBuf> {
        match &self.binary {
            Some(binary) => Ok(std::path::absolute(binary)?),
            None => build::release(progress),
        }
    }
}

/// Options of `bench apply`.
#[derive(clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    many: ManyArgs,
    /// How many commits are timed, one after the other
    #[arg(long, default_value_t = 20)]
    commits: usize,
    /// How many edits of live objects are timed, one after the other
    #[arg(long, default_value_t = 20)]
    edits: usize,
    /// How long nothing happens, seconds
    #[arg(long, default_value_t = 60)]
    idle: u64,
}

/// Runs the scenario and prints its report.
pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.scenario {
        Scenario::Apply(args) => print(&apply::run(&args).await?, args.many.shared.json),
        Scenario::Recover(args) => print(&recover::run(&args).await?, args.shared.json),
        Scenario::Render(args) => print(&render::run(&args).await?, args.shared.json),
        Scenario::Sync(args) => print(&sync::run(&args).await?, args.shared.json),
    }
}

fn print(report: &(impl Display + Serialize), json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}
