//! The watcher's arguments.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ithaca_api::NamespacePatterns;
use ithaca_api::duration::{DurationError, parse_duration};

/// Arguments of the watcher.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Arguments of every process.
    #[command(flatten)]
    pub chassis: ithaca_chassis::Args,
    /// The bus.
    #[command(flatten)]
    pub bus: ithaca_bus::Args,
    /// Namespaces beside the control plane's whose Applications are observed, where their projects let them
    /// (spec.sourceNamespaces): names, globs, or regular expressions between slashes, with commas between them
    #[arg(long, env = "ITHACA_APPLICATION_NAMESPACES", default_value = "", help_heading = "Watcher")]
    pub application_namespaces: NamespacePatterns,
    /// Address that serves the content of sources to renderers (gRPC)
    #[arg(long, env = "ITHACA_GRPC_LISTEN", default_value = "0.0.0.0:8081", help_heading = "Watcher")]
    pub grpc_listen: SocketAddr,
    /// Address that takes webhooks, at /api/webhook
    #[arg(long, env = "ITHACA_WEBHOOK_LISTEN", default_value = "0.0.0.0:8082", help_heading = "Watcher")]
    pub webhook_listen: SocketAddr,
    /// Path below which a reverse proxy shows the webhooks too, such as /ithaca
    #[arg(long, env = "ITHACA_WEBHOOK_BASE_PATH", default_value = "", value_parser = ithaca_chassis::base_path, help_heading = "Watcher")]
    pub webhook_base_path: String,
    /// Largest webhook that is read, in MiB
    #[arg(long, env = "ITHACA_WEBHOOK_MAX_MIB", default_value_t = 50, help_heading = "Watcher")]
    pub webhook_max_mib: usize,
    /// Folder for fetched repositories; it is a cache and may be lost
    #[arg(long, env = "ITHACA_CACHE_DIR", default_value = "/tmp/ithaca-watcher", help_heading = "Watcher")]
    pub cache_dir: PathBuf,
    /// Serve repositories on local paths and file:// URLs
    #[arg(long, env = "ITHACA_ALLOW_FILE_REPOSITORIES", help_heading = "Watcher")]
    pub allow_file_repositories: bool,
    /// How long a repository must be quiet before applications that a commit does not concern are told its id
    #[arg(long, env = "ITHACA_QUIET_PERIOD", default_value = "5s", value_parser = duration, help_heading = "Watcher")]
    pub quiet_period: Duration,
    /// How long a Git server may stay silent
    #[arg(long, env = "ITHACA_GIT_SILENCE", default_value = "15s", value_parser = duration, help_heading = "Watcher")]
    pub git_silence: Duration,
    /// How long one call to a Git server may take
    #[arg(long, env = "ITHACA_GIT_TIMEOUT", default_value = "90s", value_parser = duration, help_heading = "Watcher")]
    pub git_timeout: Duration,
    /// Files by which plugins are asked about a source that names no tool, as patterns from its folder such as `*.star,**/stack.toml`: what such a source holds is read as a whole
    #[arg(long, env = "ITHACA_PLUGIN_FILES", value_delimiter = ',', help_heading = "Watcher")]
    pub plugin_files: Vec<String>,
    /// Most content that one request for a source may ask for, in MiB
    #[arg(long, env = "ITHACA_CONTENT_MAX_MIB", default_value_t = 128, help_heading = "Watcher")]
    pub content_max_mib: u64,
}

fn duration(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text)
}
