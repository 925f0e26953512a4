//! The commands of developers: `cargo xtask <command>`.
//!
//! In: the command line. Out: the exit code; failures are printed with their causes.

mod generate;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands of Ithaca's developers")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the generated files anew: protobuf code and CRDs
    Gen,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Gen => generate::write(),
    }
}
