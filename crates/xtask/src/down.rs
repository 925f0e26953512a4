//! `cargo xtask down`: stops a stack, whoever started it.
//!
//! In: the stack's folder. Out: no process of it runs; its logs stay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{Record, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::up;

/// Options of `down`.
#[derive(clap::Args)]
pub struct Args {
    /// The folder of the stack
    #[arg(long, default_value_os_t = up::default_dir())]
    dir: PathBuf,
}

/// Asks the owner to stop everything, and waits for it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let record = Record::read(&args.dir)?;
    let owner = i32::try_from(record.owner).ok().and_then(Pid::from_raw);
    let owner = owner.context("stack.json names no process")?;
    if kill_process(owner, Signal::TERM).is_err() {
        println!("the stack had ended already");
        return Record::remove(&args.dir);
    }
    let process = Path::new("/proc").join(record.owner.to_string());
    let stopped = wait_until("the stack has stopped", Duration::from_secs(30), async || {
        ensure!(!process.exists(), "process {} runs", record.owner);
        Ok(())
    })
    .await;
    if stopped.is_err() {
        // All processes of the stack end with it.
        kill_process(owner, Signal::KILL)?;
        Record::remove(&args.dir)?;
    }
    Ok(())
}
