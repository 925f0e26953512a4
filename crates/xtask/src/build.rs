//! Builds the binary `ithaca` with Cargo, with progress.
//!
//! In: the profile. Out: the path of the binary.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use ithaca_tests::{Progress, repository_root, target_folder};

/// The profile that users run.
pub fn release(progress: &Progress) -> anyhow::Result<PathBuf> {
    progress.step("building Ithaca (release)");
    cargo(&["build", "--release", "--package", "ithaca"], progress)?;
    Ok(target_folder().join("release/ithaca"))
}

/// The profile that tests run.
pub fn development(progress: &Progress) -> anyhow::Result<PathBuf> {
    progress.step("building Ithaca");
    cargo(&["build", "--package", "ithaca"], progress)?;
    Ok(target_folder().join("debug/ithaca"))
}

/// Cargo as from a shell. What `cargo xtask` says of the package xtask would have build scripts run again.
pub fn command() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let said = ["CARGO_MANIFEST_", "CARGO_PKG_"];
        if name.to_str().is_some_and(|name| said.iter().any(|said| name.starts_with(said))) {
            cargo.env_remove(name);
        }
    }
    cargo
}

fn cargo(arguments: &[&str], progress: &Progress) -> anyhow::Result<()> {
    let mut cargo = command()
        .args(arguments)
        .current_dir(repository_root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start cargo")?;
    let output = cargo.stderr.take().context("cargo has no output")?;
    let mut said = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        progress.detail(line.trim());
        said.push(line);
    }
    let status = cargo.wait()?;
    ensure!(status.success(), "cargo {} ended with {status}\n{}", arguments.join(" "), said.join("\n"));
    Ok(())
}
