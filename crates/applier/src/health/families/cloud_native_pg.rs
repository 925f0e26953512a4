//! Health of CloudNativePG: clusters, their backups and poolers.

use serde_json::Value;

use super::{Health, How, Phase, Rule, UNTOUCHED, by_conditions, condition, count, custom, text};

const GROUP: &str = "postgresql.cnpg.io";

pub(super) const RULES: &[Rule] = &[
    Rule::new(GROUP, &["Cluster"], How::Own(cluster)),
    Rule::new(
        GROUP,
        &["Backup"],
        How::Phase(Phase {
            at: "/status/phase",
            message: "/status/error",
            healthy: &["completed"],
            degraded: &["failed", "walArchivingFailing"],
            ..Phase::NONE
        }),
    ),
    Rule::new(GROUP, &["Pooler"], How::Own(pooler)).halted_by("/spec/pgbouncer/paused"),
];

/// Phases from which a cluster does not come by itself.
const FAILED: &[&str] = &[
    "Unable to create required cluster objects",
    "Cluster is unrecoverable and needs manual intervention",
    "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
    "Cluster cannot execute instance online upgrade due to missing architecture binary",
    "Cluster has incomplete or invalid image catalog",
    "Not enough disk space",
];
/// The phase in which it waits for somebody to restart the primary.
const WAITS_FOR_USER: &str = "Waiting for user action";

/// The phase is a sentence and says most; readiness is in the conditions.
fn cluster(live: &Value) -> Option<Health> {
    let phase = text(live, "/status/phase");
    let reason = text(live, "/status/phaseReason");
    let sentence = || if reason.is_empty() { phase.to_owned() } else { format!("{phase}: {reason}") };
    let hibernation = condition::find(live, "cnpg.io/hibernation").filter(condition::Condition::is_true);
    match phase {
        _ if hibernation.is_some() => Some(Health::suspended("Hibernated")),
        WAITS_FOR_USER => Some(Health::suspended(sentence())),
        phase if FAILED.contains(&phase) => Some(Health::degraded(sentence())),
        phase if condition::find(live, "Ready").is_none() && !phase.is_empty() => {
            Some(Health::progressing(sentence()))
        }
        _ => by_conditions(live),
    }
}

fn pooler(live: &Value) -> Option<Health> {
    let wanted = live.pointer("/spec/instances").and_then(Value::as_i64).unwrap_or(1);
    let running = count(live, "/status/instances");
    Some(match live.pointer("/status/instances") {
        _ if custom::is_behind(live) => Health::progressing(custom::BEHIND),
        None => Health::progressing(UNTOUCHED),
        Some(_) if running < wanted => Health::progressing(format!("{running} of {wanted} instances run")),
        Some(_) => Health::healthy(""),
    })
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::families::tests::{check, is};

    fn in_phase(phase: &str, conditions: &Value) -> Value {
        json!({"status": {"phase": phase, "conditions": conditions}})
    }

    #[rstest]
    #[case::new("Cluster", json!({}), Progressing, UNTOUCHED)]
    #[case::begins("Cluster", json!({"status": {"phase": "Setting up primary"}}), Progressing, "Setting up primary")]
    #[case::grows(
        "Cluster",
        in_phase("Creating a new replica", &json!([is("Ready", "False", "ClusterIsNotReady")])),
        Progressing,
        "ClusterIsNotReady Ready"
    )]
    #[case::runs(
        "Cluster",
        in_phase("Cluster in healthy state", &json!([is("ContinuousArchiving", "True", ""), is("Ready", "True", "ClusterIsReady")])),
        Healthy,
        "ClusterIsReady Ready"
    )]
    #[case::lost(
        "Cluster",
        json!({"status": {"phase": "Cluster is unrecoverable and needs manual intervention", "phaseReason": "no primary"}}),
        Degraded,
        "Cluster is unrecoverable and needs manual intervention: no primary"
    )]
    #[case::waits(
        "Cluster",
        in_phase("Waiting for user action", &json!([is("Ready", "True", "ClusterIsReady")])),
        Suspended,
        "Waiting for user action"
    )]
    #[case::hibernated("Cluster", in_phase("", &json!([is("cnpg.io/hibernation", "True", "Hibernated")])), Suspended, "Hibernated")]
    #[case::new_backup("Backup", json!({}), Progressing, UNTOUCHED)]
    #[case::running_backup("Backup", json!({"status": {"phase": "running"}}), Progressing, "running")]
    #[case::backup("Backup", json!({"status": {"phase": "completed"}}), Healthy, "completed")]
    #[case::no_backup("Backup", json!({"status": {"phase": "failed", "error": "no space"}}), Degraded, "no space")]
    #[case::new_pooler("Pooler", json!({"spec": {"instances": 2}}), Progressing, UNTOUCHED)]
    #[case::growing_pooler("Pooler", json!({"spec": {"instances": 2}, "status": {"instances": 1}}), Progressing, "1 of 2 instances run")]
    #[case::pooler("Pooler", json!({"spec": {"instances": 2}, "status": {"instances": 2}}), Healthy, "")]
    #[case::paused_pooler("Pooler", json!({"spec": {"pgbouncer": {"paused": true}}}), Suspended, "spec.pgbouncer.paused is true")]
    fn databases(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check(GROUP, kind, &live, Some(expected), message);
    }

    #[test]
    fn a_schedule_has_no_health() {
        check(
            GROUP,
            "ScheduledBackup",
            &json!({"status": {"lastCheckTime": "2026-11-25T00:00:00Z"}}),
            None,
            "",
        );
    }
}
