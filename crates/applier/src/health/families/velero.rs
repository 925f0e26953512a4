//! Health of Velero: backups, restores, schedules, and where backups are kept.

use super::{How, Phase, Rule};

const GROUP: &str = "velero.io";
/// Where a run tells its phase, and how it can end.
const RUN: Phase = Phase {
    at: "/status/phase",
    message: "/status/failureReason",
    healthy: &["Completed"],
    degraded: &["Failed", "PartiallyFailed", "FailedValidation"],
    ..Phase::NONE
};

pub(super) const RULES: &[Rule] = &[
    Rule::new(GROUP, &["Backup", "Restore"], How::Phase(RUN)),
    Rule::new(
        GROUP,
        &["Schedule"],
        How::Phase(Phase {
            at: "/status/phase",
            healthy: &["Enabled"],
            degraded: &["FailedValidation"],
            ..Phase::NONE
        }),
    )
    .halted_by("/spec/paused"),
    Rule::new(
        GROUP,
        &["BackupStorageLocation"],
        How::Phase(Phase {
            at: "/status/phase",
            message: "/status/message",
            healthy: &["Available"],
            degraded: &["Unavailable"],
            ..Phase::NONE
        }),
    ),
];

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::GROUP;
    use crate::health::families::{UNTOUCHED, tests::check};

    #[rstest]
    #[case::new("Backup", json!({}), Progressing, UNTOUCHED)]
    #[case::running("Backup", json!({"status": {"phase": "InProgress"}}), Progressing, "InProgress")]
    #[case::finalizing("Backup", json!({"status": {"phase": "WaitingForPluginOperations"}}), Progressing, "WaitingForPluginOperations")]
    #[case::done("Backup", json!({"status": {"phase": "Completed", "errors": 0}}), Healthy, "Completed")]
    #[case::partly("Backup", json!({"status": {"phase": "PartiallyFailed", "errors": 3}}), Degraded, "PartiallyFailed")]
    #[case::failed("Restore", json!({"status": {"phase": "Failed", "failureReason": "no such backup"}}), Degraded, "no such backup")]
    #[case::restored("Restore", json!({"status": {"phase": "Completed"}}), Healthy, "Completed")]
    #[case::new_schedule("Schedule", json!({"spec": {}, "status": {"phase": "New"}}), Progressing, "New")]
    #[case::schedule("Schedule", json!({"spec": {"paused": false}, "status": {"phase": "Enabled"}}), Healthy, "Enabled")]
    #[case::bad_schedule("Schedule", json!({"status": {"phase": "FailedValidation"}}), Degraded, "FailedValidation")]
    #[case::paused("Schedule", json!({"spec": {"paused": true}, "status": {"phase": "Enabled"}}), Suspended, "spec.paused is true")]
    #[case::place("BackupStorageLocation", json!({"status": {"phase": "Available"}}), Healthy, "Available")]
    #[case::no_place("BackupStorageLocation", json!({"status": {"phase": "Unavailable", "message": "denied"}}), Degraded, "denied")]
    fn backups(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check(GROUP, kind, &live, Some(expected), message);
    }
}
