//! Folders below Cargo's target folder that are filled once and then found.
//!
//! In: a folder whose name tells what it is made of, and the commands that fill it. Out: the whole folder.
//! Old folders are left: they belong to older checkouts.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::Progress;

/// How many of a command's last lines a failure tells.
const LINES: usize = 20;

/// Fills a folder unless it is there. Tests and processes that ask at once wait for the first.
///
/// # Errors
/// What `fill` says, with nothing left at the folder's place.
pub(crate) fn once(folder: &Path, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let place = folder.parent().context("the folder has no parent")?;
    std::fs::create_dir_all(place)?;
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock().with_context(|| format!("failed to wait for {}", folder.display()))?;
    if folder.is_dir() {
        return Ok(());
    }
    // What was interrupted must not look finished.
    let unfinished = folder.with_extension("tmp");
    if unfinished.is_dir() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    fill(&unfinished)?;
    std::fs::rename(&unfinished, folder).with_context(|| format!("failed to finish {}", folder.display()))
}

/// Runs a command that fills a folder, and shows how far it is: lines so far, and the last one.
///
/// # Errors
/// When it cannot be started or fails, with the last lines that it said.
pub(crate) fn run(command: &mut Command, progress: &Progress) -> anyhow::Result<()> {
    let name = command.get_program().display().to_string();
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("failed to start {name}"))?;
    // The command holds the pipe open until it forgets it.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut said = Vec::new();
    for line in BufReader::new(reader).lines() {
        let line = line?;
        said.push(line);
        progress.detail(&format!("{}: {}", said.len(), said[said.len() - 1]));
    }
    let status = child.wait()?;
    let end = &said[said.len().saturating_sub(LINES)..];
    ensure!(status.success(), "{name} ended with {status}\n{}", end.join("\n"));
    Ok(())
}
