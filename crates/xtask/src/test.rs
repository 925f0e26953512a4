//! `cargo xtask test`: everything that can fail, in one command.
//!
//! In: arguments for `cargo test`. Out: its own output and verdict.

use anyhow::{Context, ensure};
use ithaca_tests::{Ansible, Progress, Tools, repository_root};

use crate::{build, prerequisites};

/// Options of `test`.
#[derive(clap::Args)]
pub struct Args {
    /// Passed on to `cargo test --workspace`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

/// Builds the tools, Ansible and the binary, then runs the tests of the workspace.
pub fn run(args: &Args) -> anyhow::Result<()> {
    prerequisites::to_test()?;
    let progress = Progress::shown();
    let tools = Tools::build(&progress)?;
    Tools::checks(&progress)?;
    let sources = Tools::sources(&progress)?;
    Ansible::build(&progress)?;
    let binary = build::development(&progress)?;
    progress.step("running the tests");
    progress.finish();
    let status = build::command()
        .args(["test", "--workspace"])
        .args(&args.cargo)
        .current_dir(repository_root())
        .env("ITHACA_BINARY", binary)
        .env("ITHACA_TOOLS", tools.folder())
        .env("ITHACA_SOURCE_TOOLS", sources.folder())
        // Errors of tests tell what was seen; where they were made is noise.
        .env("RUST_LIB_BACKTRACE", "0")
        .status()
        .context("failed to start cargo")?;
    ensure!(status.success(), "tests failed");
    Ok(())
}
