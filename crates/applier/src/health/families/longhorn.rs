//! Health of Longhorn's storage: volumes, the processes behind them, and where backups go.

use serde_json::Value;

use super::{Health, How, Rule, UNTOUCHED, condition, text};

const GROUP: &str = "longhorn.io";

pub(super) const RULES: &[Rule] = &[
    Rule::new(GROUP, &["Volume"], How::Own(volume)),
    Rule::new(GROUP, &["Engine", "Replica"], How::Own(process)),
    Rule::new(GROUP, &["BackupTarget"], How::Own(backup_target)),
];

/// A volume that nobody uses is detached, and nothing is known of its data then.
fn volume(live: &Value) -> Option<Health> {
    let (state, robustness) = (text(live, "/status/state"), text(live, "/status/robustness"));
    if let Some(unscheduled) = condition::find(live, "Scheduled").filter(condition::Condition::is_false) {
        return Some(Health::degraded(unscheduled.message));
    }
    let message = format!("{state}, {robustness}");
    Some(match (state, robustness) {
        ("", _) => Health::progressing(UNTOUCHED),
        (_, "degraded" | "faulted") => Health::degraded(message),
        ("attached", "healthy") => Health::healthy(message),
        ("detached", _) => Health::healthy(state),
        _ => Health::progressing(message),
    })
}

/// A process is as well as it is what it shall be.
fn process(live: &Value) -> Option<Health> {
    let (wanted, state) = (text(live, "/spec/desireState"), text(live, "/status/currentState"));
    Some(match state {
        "" => Health::progressing(UNTOUCHED),
        "error" => Health::degraded(state),
        "unknown" => Health::unknown(state),
        "running" | "stopped" if state == wanted => Health::healthy(state),
        _ => Health::progressing(state),
    })
}

/// A target without an address is not meant to be used.
fn backup_target(live: &Value) -> Option<Health> {
    if text(live, "/spec/backupTargetURL").is_empty() {
        return None;
    }
    let unavailable = condition::find(live, "Unavailable").filter(condition::Condition::is_true);
    Some(match (live.pointer("/status/available"), unavailable) {
        (Some(Value::Bool(true)), _) => Health::healthy(""),
        (_, Some(unavailable)) => Health::degraded(unavailable.message),
        _ => Health::progressing(UNTOUCHED),
    })
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Unknown};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::families::tests::{check, is};

    fn volume_in(state: &str, robustness: &str) -> Value {
        json!({"status": {"state": state, "robustness": robustness, "conditions": [is("Scheduled", "True", "")]}})
    }

    fn process_in(wanted: &str, state: &str) -> Value {
        json!({"spec": {"desireState": wanted}, "status": {"currentState": state}})
    }

    #[rstest]
    #[case::new("Volume", json!({}), Progressing, UNTOUCHED)]
    #[case::creating("Volume", volume_in("creating", "unknown"), Progressing, "creating, unknown")]
    #[case::attaching("Volume", volume_in("attaching", "unknown"), Progressing, "attaching, unknown")]
    #[case::attached("Volume", volume_in("attached", "healthy"), Healthy, "attached, healthy")]
    #[case::detached("Volume", volume_in("detached", "unknown"), Healthy, "detached")]
    #[case::degraded("Volume", volume_in("attached", "degraded"), Degraded, "attached, degraded")]
    #[case::faulted("Volume", volume_in("detached", "faulted"), Degraded, "detached, faulted")]
    #[case::no_room(
        "Volume",
        json!({"status": {"state": "creating", "conditions": [is("Scheduled", "False", "ReplicaSchedulingFailure")]}}),
        Degraded,
        "ReplicaSchedulingFailure Scheduled"
    )]
    #[case::new_process("Replica", json!({"spec": {"desireState": "running"}}), Progressing, UNTOUCHED)]
    #[case::running("Engine", process_in("running", "running"), Healthy, "running")]
    #[case::stopped("Replica", process_in("stopped", "stopped"), Healthy, "stopped")]
    #[case::not_running("Replica", process_in("running", "stopped"), Progressing, "stopped")]
    #[case::failed("Engine", process_in("running", "error"), Degraded, "error")]
    #[case::lost("Replica", process_in("running", "unknown"), Unknown, "unknown")]
    #[case::new_target("BackupTarget", json!({"spec": {"backupTargetURL": "s3://a"}}), Progressing, UNTOUCHED)]
    #[case::target("BackupTarget", json!({"spec": {"backupTargetURL": "s3://a"}, "status": {"available": true}}), Healthy, "")]
    #[case::no_target(
        "BackupTarget",
        json!({"spec": {"backupTargetURL": "s3://a"}, "status": {"available": false, "conditions": [is("Unavailable", "True", "Refused")]}}),
        Degraded,
        "Refused Unavailable"
    )]
    fn storage(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check(GROUP, kind, &live, Some(expected), message);
    }

    #[test]
    fn what_is_not_used_has_no_health() {
        check(GROUP, "BackupTarget", &json!({"spec": {"backupTargetURL": ""}}), None, "");
        check(
            GROUP,
            "RecurringJob",
            &json!({"spec": {"cron": "0 3 * * *"}, "status": {"executionCount": 3}}),
            None,
            "",
        );
    }
}
