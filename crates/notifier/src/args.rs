//! The arguments of the notifier.

use std::path::PathBuf;

/// Arguments of `ithaca notifier`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub chassis: ithaca_chassis::Args,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub bus: ithaca_bus::Args,
    /// Kubernetes Events written per second at most, so that a start-up of many applications never
    /// competes with applying them; 0 writes none
    #[arg(
        long,
        env = "ITHACA_KUBERNETES_EVENTS_PER_SECOND",
        default_value_t = 20,
        help_heading = "Notifications"
    )]
    pub kubernetes_events_per_second: u32,
    /// YAML file with a list of webhooks: name, url, headers, on, body, maxAge
    #[arg(long, env = "ITHACA_WEBHOOK_CONFIG", help_heading = "Notifications")]
    pub webhook_config: Option<PathBuf>,
}
