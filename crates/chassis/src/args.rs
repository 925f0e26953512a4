//! The arguments that every process takes.

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
