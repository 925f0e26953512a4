//! The subcommands: which there are, what their help says, and what each runs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{app, bootstrap, memory, output, probe};

const EXAMPLES: &str = "\
Examples:
  ithaca app list                          what runs, and whether it is as Git says
  ithaca app get web                       everything about one application
  ithaca app wait web --timeout 2m         in a pipeline: until web is synced and healthy
  ithaca app list -o json | jq '.items[].status.health.status'

The services are started by the Helm chart; by hand, each takes its settings as flags or from ITHACA_* variables:
  ithaca console --nats-url nats://127.0.0.1:4222 --console-listen 127.0.0.1:8081";

/// GitOps for Kubernetes: makes a cluster match what Git says, keeps it so, and tells what it did.
#[derive(Parser)]
#[command(name = "ithaca", version, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look at Applications, with the rights of your kubeconfig
    App(app::Args),
    Bootstrap(bootstrap::Args),
    /// Ask addresses whether they answer: the health check of images without a shell
    Probe(probe::Args),
    /// Print the version
    Version,
    /// Service: observes Git and Applications
    Watcher(Box<ithaca_watcher::Args>),
    /// Service: turns source content into bundles of manifests
    Renderer(Box<ithaca_renderer::Args>),
    /// Service: makes clusters match Git and keeps them matched
    Applier(Box<ithaca_applier::Args>),
    /// Service: tells people and systems what happened
    Notifier(Box<ithaca_notifier::Args>),
    /// Service: the web page and the REST interface
    Console(Box<ithaca_console::Args>),
    /// Evaluate Jsonnet; the renderer runs it in a sandbox
    #[command(hide = true)]
    Jsonnet(ithaca_renderer::JsonnetArgs),
}

/// Runs what the arguments ask for.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::App(args) => app::run(args),
        Command::Bootstrap(args) => output::ended(bootstrap::run(args)),
        Command::Probe(args) => probe::run(args),
        Command::Version => {
            println!("ithaca {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Command::Watcher(args) => {
            let chassis = args.chassis.clone();
            serve("watcher", chassis, |process| ithaca_watcher::run(*args, process))
        }
        Command::Renderer(args) => {
            let chassis = args.chassis.clone();
            serve("renderer", chassis, |process| ithaca_renderer::run(*args, process))
        }
        Command::Applier(args) => {
            let chassis = args.chassis.clone();
            serve("applier", chassis, |process| ithaca_applier::run(*args, process))
        }
        Command::Notifier(args) => {
            let chassis = args.chassis.clone();
            serve("notifier", chassis, |process| ithaca_notifier::run(*args, process))
        }
        Command::Console(args) => {
            let chassis = args.chassis.clone();
            serve("console", chassis, |process| ithaca_console::run(*args, process))
        }
        Command::Jsonnet(args) => ithaca_renderer::jsonnet::run(&args),
    }
}

/// Runs a service as a process.
fn serve<S, F>(name: &'static str, args: ithaca_chassis::Args, service: S) -> ExitCode
where
    S: FnOnce(ithaca_chassis::Process) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    ithaca_chassis::run(name, args, memory::give_back, service)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Cli::command().debug_assert();
    }
}
