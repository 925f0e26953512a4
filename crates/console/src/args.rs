//! The arguments of the console.

use std::net::SocketAddr;

use ithaca_api::NamespacePatterns;

/// Arguments of `ithaca console`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub chassis: ithaca_chassis::Args,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub bus: ithaca_bus::Args,
    /// Namespaces beside the control plane's whose Applications are shown: names, globs, or regular expressions between
    /// slashes, with commas between them
    #[arg(long, env = "ITHACA_APPLICATION_NAMESPACES", default_value = "", help_heading = "Console")]
    pub application_namespaces: NamespacePatterns,
    /// Address that serves the page and the REST interface
    #[arg(long, env = "ITHACA_CONSOLE_LISTEN", default_value = "0.0.0.0:8081", help_heading = "Console")]
    pub console_listen: SocketAddr,
    /// Path below which a reverse proxy shows the page, such as /ithaca
    #[arg(
        long,
        env = "ITHACA_CONSOLE_BASE_PATH",
        default_value = "",
        value_parser = ithaca_chassis::base_path,
        help_heading = "Console"
    )]
    pub base_path: String,
}
