//! Rust from the protobuf contracts, without protoc.
//!
//! In: `proto/ithaca/v1/*.proto`. Out: `proto/src/generated/v1.rs`, a module for all of the package.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::Files;

const HEADER: &str = "\
//! Generated from proto/ithaca/v1 by `cargo xtask gen`. Not to be edited.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

";

/// The code of package `ithaca.v1`: messages, clients and servers.
pub fn files(root: &Path) -> anyhow::Result<Files> {
    let include = root.join("proto");
    let descriptors = protox::compile(sources(&include)?, [&include])
        .context("failed to compile the protobuf contracts")?;
    let folder = root.join("target").join(format!("protobuf-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let code = tonic_prost_build::configure()
        .out_dir(&folder)
        .bytes(".")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)
        .context("failed to generate code from the protobuf contracts")
        .and_then(|()| {
            std::fs::read_to_string(folder.join("ithaca.v1.rs"))
                .context("failed to read the code of package ithaca.v1")
        });
    std::fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    let text = format_code(&format!("{HEADER}{}", code?))?;
    Ok(Files::from([(PathBuf::from("proto/src/generated/v1.rs"), text)]))
}

fn sources(include: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = include.join("ithaca/v1");
    let mut sources: Vec<_> = std::fs::read_dir(&folder)
        .with_context(|| format!("failed to list {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    sources.sort();
    Ok(sources)
}

/// The text as `cargo fmt` leaves it, so that formatting the workspace changes nothing generated.
fn format_code(text: &str) -> anyhow::Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start rustfmt (rustup component add rustfmt)")?;
    let mut input = rustfmt.stdin.take().context("rustfmt has no input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = rustfmt.wait_with_output()?;
    ensure!(output.status.success(), "failed to format the generated code: rustfmt {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
