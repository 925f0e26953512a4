//! `ithaca`: every service as a subcommand, and the command line of users.
//!
//! In: arguments and the environment. Out: an exit code.

mod app;
mod bootstrap;
mod command;
mod memory;
mod output;
mod probe;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
