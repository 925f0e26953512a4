//! `ithaca app`: Applications as a user's kubeconfig shows them. It reads the Kubernetes API, asks the applier how they
//! differ from Git, and changes nothing but what somebody does to an object by an action.

mod action;
mod cluster;
mod describe;
mod diff;
mod list;
mod near;
mod readiness;
mod text;
mod wait;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Subcommand;
use ithaca_api::duration::parse_duration;

use crate::output::{self, Format};

/// Arguments of `ithaca app`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    access: Access,
}

/// Which cluster and namespace to look at.
#[derive(clap::Args)]
struct Access {
    /// Namespace of the Applications
    #[arg(short, long, env = "ITHACA_NAMESPACE", default_value = "argocd", global = true)]
    namespace: String,
    /// Kubeconfig file; otherwise $KUBECONFIG, ~/.kube/config or the pod's own account
    #[arg(long, global = true)]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; otherwise its current one
    #[arg(long, global = true)]
    context: Option<String>,
}

const LIST_EXAMPLES: &str = "\
Examples:
  ithaca app list
  ithaca app list -A -o wide
  ithaca app list -o json | jq -r '.items[] | select(.status.sync.status != \"Synced\") | .metadata.name'";

const GET_EXAMPLES: &str = "\
Examples:
  ithaca app get web
  ithaca app get web -o yaml";

const DIFF_EXAMPLES: &str = "\
Examples:
  kubectl -n argocd port-forward deploy/ithaca-applier 8083 &
  ithaca app diff web";

const ACTION_EXAMPLES: &str = "\
Examples:
  ithaca app actions web                           what can be done to its objects
  ithaca app action web restart                    where one object has this action
  ithaca app action web restart --kind Deployment --object frontend

Actions come from ConfigMap argocd-cm (resource.customizations.actions.<group_Kind>), and restart, pause, resume
and suspend for workloads from Ithaca. They are done with your rights.";

const WAIT_EXAMPLES: &str = "\
Examples:
  ithaca app wait web                              until it is synced, healthy and nothing is under way
  ithaca app wait web --health --timeout 90s       until it is healthy, whatever its sync state
  ithaca app wait web --revision $(git rev-parse HEAD)
                                                   after a push: until this commit is the one that runs
  ithaca app wait web --operation                  until the sync that is under way ends; fails if it failed";

#[derive(Subcommand)]
enum Command {
    /// List Applications
    #[command(after_long_help = LIST_EXAMPLES, visible_alias = "ls")]
    List {
        /// All namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// How to write them
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show everything about one Application
    #[command(after_long_help = GET_EXAMPLES)]
    Get {
        /// The Application's name
        name: String,
        /// How to write it
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show how the objects of an Application differ from what Git wants, and who changed them
    #[command(after_long_help = DIFF_EXAMPLES)]
    Diff {
        /// The Application's name
        name: String,
        /// Where the applier answers
        #[arg(long, env = "ITHACA_APPLIER_URL", default_value = "http://127.0.0.1:8083", value_name = "URL")]
        applier: String,
    },
    /// List what can be done to the objects of an Application
    #[command(after_long_help = ACTION_EXAMPLES)]
    Actions {
        /// The Application's name
        name: String,
        #[command(flatten)]
        target: action::Target,
    },
    /// Do something to an object of an Application
    #[command(after_long_help = ACTION_EXAMPLES)]
    Action {
        /// The Application's name
        name: String,
        /// The action
        action: String,
        #[command(flatten)]
        target: action::Target,
    },
    /// Wait until an Application is as it should be; fails with the reason when it is not in time
    #[command(after_long_help = WAIT_EXAMPLES)]
    Wait {
        /// The Application's name
        name: String,
        #[command(flatten)]
        wanted: Wanted,
        /// How long to wait at most: 90s, 5m, 1h30m
        #[arg(long, default_value = "5m", value_parser = parse_duration)]
        timeout: Duration,
    },
}

/// What to wait for; without any, for sync, health and the end of an operation.
#[derive(clap::Args, Clone, Debug, Default)]
struct Wanted {
    /// Wait until it is Synced
    #[arg(long)]
    sync: bool,
    /// Wait until it is Healthy
    #[arg(long)]
    health: bool,
    /// Wait until no operation is under way; fails when the operation failed
    #[arg(long)]
    operation: bool,
    /// Wait until this commit (its first 7 characters or more) or chart version is the one compared with
    #[arg(long, value_name = "SHA")]
    revision: Option<String>,
}

/// Runs the subcommand and says on standard error what failed.
pub fn run(args: Args) -> ExitCode {
    // An error says that another one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::ended(Err(error.into())),
    };
    output::ended(runtime.block_on(dispatch(args)))
}

async fn dispatch(Args { command, access }: Args) -> anyhow::Result<()> {
    let connect = || cluster::Cluster::connect(&access);
    match command {
        Command::List { all_namespaces, output } => {
            list::run(&connect().await?, all_namespaces, output).await
        }
        Command::Get { name, output } => describe::run(&connect().await?, &name, output).await,
        Command::Diff { name, applier } => diff::run(&applier, &access.namespace, &name).await,
        Command::Actions { name, target } => action::list(&connect().await?, &name, &target).await,
        Command::Action { name, action, target } => {
            action::run(&connect().await?, &name, &action, &target).await
        }
        Command::Wait { name, wanted, timeout } => {
            wait::run(&connect().await?, &name, &wanted, timeout).await
        }
    }
}
