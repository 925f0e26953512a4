//! `ithaca`: every service as a subcommand, and the command line of users.
//!
//! In: arguments and the environment. Out: an exit code. What is said here is only which memory allocator all use.

mod app;
mod bootstrap;
mod command;
mod output;
mod probe;

use std::process::ExitCode;

/// Gives memory back to the system, and keeps threads from waiting for each other. Without huge pages (its feature
/// `no_thp`): they make a process of 3 MiB one of 15.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command::run()
}
