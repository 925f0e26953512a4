//! A detached start: another process of this program owns the stack and outlives this one.
//!
//! In: what was built. Out: the owner's steps as progress, and its summary once everything runs.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use ithaca_tests::{Progress, Record};

use super::Args;
use crate::summary;

/// Starts the owner and waits until the stack runs.
pub async fn run(args: &Args, binary: &Path, progress: &Progress) -> anyhow::Result<()> {
    let log = args.dir.join("owner.log");
    let mut owner = spawn(&log, binary).context("failed to start the owner of the stack")?;
    let record = tokio::select! {
        record = wait(args, &log, &mut owner, progress) => record,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    progress.finish();
    match record {
        Ok(record) => {
            print!("{}", summary::text(&record, &args.dir, &args.root()));
            println!("cargo xtask down --dir {} stops everything.", args.dir.display());
            Ok(())
        }
        Err(error) => {
            // Its children end with it.
            owner.kill()?;
            owner.wait()?;
            Err(error)
        }
    }
}

fn spawn(log: &Path, binary: &Path) -> anyhow::Result<Child> {
    let log = File::create(log)?;
    // setsid becomes the program itself: the owner has no terminal, and its process id is the child's.
    let owner = Command::new("setsid")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .args(["--own", "--binary"])
        .arg(binary)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(owner)
}

async fn wait(args: &Args, log: &Path, owner: &mut Child, progress: &Progress) -> anyhow::Result<Record> {
    let mut shown = 0;
    loop {
        let said = std::fs::read_to_string(log)?;
        // Steps are `[ 1.2 s] name`; other lines are what went wrong.
        let steps = said.lines().filter_map(|line| line.strip_prefix('[')?.split_once(" s] "));
        for (_, step) in steps.skip(shown) {
            progress.step(step);
            shown += 1;
        }
        if let Ok(record) = Record::read(&args.dir) {
            return Ok(record);
        }
        if let Some(status) = owner.try_wait()? {
            let wrong: Vec<_> = said.lines().filter(|line| !line.starts_with('[')).collect();
            bail!("the stack did not start ({status})\n{}", wrong.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
