//! The arguments of the notifier.

use std::path::PathBuf;

const WEBHOOK_CONFIG: &str = "\
YAML file with a list of webhooks to call:

  # In url and headers $NAME is an environment variable.
  - name: chat
    url: https://chat.example.org/$TOKEN
    headers: {Authorization: Bearer $TOKEN}
    # Without it: every event.
    on: [SyncFinished:Failed, HealthChanged:Degraded]
    # How long an event is worth trying; 1h without it.
    maxAge: 30m
    # Without it: the event as JSON.
    body: |
      {\"text\": {{ (application.name ~ \": \" ~ message) | tojson }}}

Events: SyncStarted, SyncFinished, DriftDetected, HealthChanged, SyncStatusChanged, ConditionChanged, \
ApplicationDeleted. The body is a Jinja template over the fields of the audit trail: event, reason, severity, \
message, application, project, happenedAt, initiatedBy, revision, commit, phase, results, seconds, from, to, \
condition, object, fields, manager and others. It is tried on a sample of each event when the notifier starts.";

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
    /// YAML file with a list of webhooks to call
    #[arg(
        long,
        env = "ITHACA_WEBHOOK_CONFIG",
        help_heading = "Notifications",
        long_help = WEBHOOK_CONFIG
    )]
    pub webhook_config: Option<PathBuf>,
}
