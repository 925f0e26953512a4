//! The process that owns a stack: starts it, keeps it alive, and stops it at a signal.

use std::path::PathBuf;

use anyhow::Context;
use ithaca_tests::{Options, Progress, Stack, Tools, sample};
use tokio::signal::unix::{SignalKind, signal};

use super::Args;
use crate::summary::{self, Root};

/// Runs the stack until Ctrl-C or SIGTERM.
pub async fn run(args: Args, binary: PathBuf, tools: Tools, progress: &Progress) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(stopped);
    let stack = tokio::select! {
        // What has started ends as it is dropped.
        () = &mut stopped => return Ok(()),
        stack = start(&args, binary, tools, progress) => stack?,
    };
    stack.record().write(&stack.dir)?;
    progress.finish();
    if !args.own {
        print!("{}", summary::text(&stack.record(), &stack.dir, &args.root()));
        println!("Ctrl-C stops everything.");
    }
    tokio::select! {
        () = &mut stopped => {}
        ended = stack.supervise() => ended?,
    }
    if !args.own {
        println!("\nstopping");
    }
    stack.stop().await
}

async fn start(args: &Args, binary: PathBuf, tools: Tools, progress: &Progress) -> anyhow::Result<Stack> {
    let options = Options {
        dir: args.dir.clone(),
        nodes: args.nodes,
        kubeconfig: args.kubeconfig.clone(),
        binary: Some(binary),
        appliers: 1,
        for_tests: false,
    };
    let stack = Stack::start(options, tools, progress).await?;
    let root = match args.root() {
        Root::None => return Ok(stack),
        Root::Sample => {
            progress.step("publishing the sample repository");
            let repository = stack.repository(summary::SAMPLE).await?;
            sample::publish(&repository).await?;
            sample::root_application(&repository)?
        }
        Root::Own { url, path } => sample::root_application_of(&url, &path),
    };
    progress.step("applying the root Application");
    stack.cluster.apply(&root).await.context("failed to apply the root Application")?;
    Ok(stack)
}

impl Args {
    /// Where the root Application comes from.
    pub fn root(&self) -> Root {
        match &self.repo {
            Some(url) => Root::Own { url: url.clone(), path: self.path.clone() },
            None if self.empty => Root::None,
            None => Root::Sample,
        }
    }
}
