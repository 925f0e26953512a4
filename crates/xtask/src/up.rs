//! `cargo xtask up`: a cluster, a bus, a Git server and Ithaca, in one folder.
//!
//! In: options. Out: a running stack that ends with Ctrl-C, or, detached, with `cargo xtask down`.
//! One process owns the stack: this one, or with `--detach` another of the same program that outlives it.

mod detach;
mod own;

use std::path::PathBuf;

use ithaca_tests::{Progress, Tools, target_folder};

use crate::{build, prerequisites};

/// Options of `up`.
#[derive(clap::Args)]
pub struct Args {
    /// Holds all state and logs, and is emptied first
    #[arg(long, default_value_os_t = default_dir())]
    dir: PathBuf,
    /// Return once everything runs; `down` stops it
    #[arg(long)]
    detach: bool,
    /// Use this cluster instead of starting one
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How many nodes the cluster has
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Use this repository instead of the sample
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// The folder of the root Application in the repository of --repo
    #[arg(long, default_value = ".", requires = "repo")]
    path: String,
    /// Start without the sample repository and the root Application
    #[arg(long, conflicts_with = "repo")]
    empty: bool,
    /// Run this binary instead of building the release
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Own the stack of a detached start, in the folder that it has prepared
    #[arg(long, hide = true)]
    own: bool,
}

/// Where a stack is unless `--dir` says otherwise.
pub fn default_dir() -> PathBuf {
    target_folder().join("stack")
}

/// Builds what is not built, then starts everything.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let progress = Progress::shown();
    if !args.own {
        prerequisites::to_build()?;
    }
    let tools = Tools::build(&progress)?;
    let binary = match &args.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => build::release(&progress)?,
    };
    if !args.own {
        ithaca_tests::empty(&args.dir)?;
    }
    if args.detach && !args.own {
        detach::run(&args, &binary, &progress).await
    } else {
        own::run(args, binary, tools, &progress).await
    }
}
