//! The arguments that every process takes, and how arguments that several take are read.

use std::net::SocketAddr;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    #[default]
    Text,
}

/// Arguments of any service.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Address that serves /healthz, /readyz and /metrics
    #[arg(long, env = "ITHACA_HTTP_LISTEN", default_value = "0.0.0.0:8080", help_heading = "Process")]
    pub http_listen: SocketAddr,
    /// Namespace of Ithaca's own objects and of Applications
    #[arg(long, env = "ITHACA_NAMESPACE", default_value = "argocd", help_heading = "Process")]
    pub namespace: String,
    /// How log lines are written
    #[arg(long, env = "ITHACA_LOG_FORMAT", value_enum, default_value_t, help_heading = "Process")]
    pub log_format: LogFormat,
    /// What is logged, as tracing directives: `info`, `warn,ithaca_applier=debug`
    #[arg(long, env = "ITHACA_LOG", default_value = "info", help_heading = "Process")]
    pub log: String,
    /// OpenTelemetry collector to send traces and metrics to (gRPC); none are sent without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", help_heading = "Process")]
    pub otlp_endpoint: Option<String>,
}

/// Reads the path below which a reverse proxy shows a service: a slash at its start and none at its end; empty for the
/// root.
///
/// # Errors
/// When it holds what no path of a site should.
pub fn base_path(text: &str) -> Result<String, String> {
    let inner = text.trim_matches('/');
    if inner.is_empty() {
        return Ok(String::new());
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
    if inner.chars().all(is_plain) && !inner.split('/').any(|part| part.is_empty() || part == "..") {
        return Ok(format!("/{inner}"));
    }
    Err("a path of letters, digits, - _ . ~ and / is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_one_form() {
        for (text, path) in [("", ""), ("/", ""), ("ithaca", "/ithaca"), ("/a/b/", "/a/b")] {
            assert_eq!(base_path(text), Ok(path.to_owned()));
        }
        assert!(base_path("/a{b}").is_err());
        assert!(base_path("/a/../b").is_err());
    }
}
