//! The commands of developers: `cargo xtask <command>`.
//!
//! In: the command line. Out: the exit code; failures are printed with their causes.

mod bench;
mod build;
mod down;
mod generate;
mod prerequisites;
mod summary;
mod test;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands of Ithaca's developers")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster, NATS, a Git server with a sample repository, and Ithaca
    // The owner of a detached stack gets the arguments of `up`, then its own.
    #[command(args_override_self = true)]
    Up(up::Args),
    /// Stop what `up --detach` started
    Down(down::Args),
    /// Run all tests
    Test(test::Args),
    /// Measure speed and size on a real control plane
    Bench(bench::Args),
    /// Write the generated files anew: protobuf code and CRDs
    Gen,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up(args) => up::run(args).await,
        Command::Down(args) => down::run(args).await,
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(args).await,
        Command::Gen => generate::write(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
