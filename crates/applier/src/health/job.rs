//! Health of Jobs and CronJobs.

use serde_json::Value;

use super::{Health, condition, text};

/// A Job is healthy when it is done.
pub(super) fn assess(live: &Value) -> Health {
    let holds = |kind: &str| condition::find(live, kind).filter(|condition| condition.is_true());
    if let Some(failed) = holds("Failed") {
        Health::degraded(failed.message)
    } else if let Some(suspended) = holds("Suspended") {
        Health::suspended(suspended.message)
    } else if let Some(complete) = holds("Complete") {
        Health::healthy(complete.message)
    } else {
        Health::progressing("")
    }
}

/// A CronJob is healthy unless its last run is known to have failed.
pub(super) fn assess_cron_job(live: &Value) -> Health {
    if live.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return Health::healthy("CronJob is suspended");
    }
    let Some(status) = live.get("status").filter(|status| !status.is_null()) else {
        return Health::progressing("Waiting for CronJob");
    };
    let scheduled = text(status, "/lastScheduleTime");
    let succeeded = text(status, "/lastSuccessfulTime");
    let runs = status["active"].as_array().is_some_and(|active| !active.is_empty());
    if scheduled.is_empty() {
        Health::healthy("CronJob has not been scheduled yet")
    } else if succeeded.is_empty() {
        // Its first run may still be going on, or all of them may have failed: the status cannot tell.
        Health::healthy("CronJob has never completed successfully. It may not be healthy")
    } else if runs {
        Health::healthy("CronJob is running. Its last execution may not have been successful")
    } else if succeeded < scheduled {
        // Both are times in UTC of one format, which sort as texts.
        Health::degraded("CronJob has not completed its last execution successfully")
    } else {
        Health::healthy("CronJob has completed its last execution successfully")
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    fn condition(kind: &str, status: &str) -> Value {
        json!({"type": kind, "status": status, "message": format!("it says {kind}")})
    }

    #[rstest]
    #[case::running(json!([]), Progressing, "")]
    #[case::done(json!([condition("SuccessCriteriaMet", "True"), condition("Complete", "True")]), Healthy, "it says Complete")]
    #[case::failed(json!([condition("FailureTarget", "True"), condition("Failed", "True")]), Degraded, "it says Failed")]
    #[case::suspended(json!([condition("Suspended", "True")]), Suspended, "it says Suspended")]
    #[case::resumed(json!([condition("Suspended", "False")]), Progressing, "")]
    #[case::resumed_and_done(json!([condition("Suspended", "False"), condition("Complete", "True")]), Healthy, "it says Complete")]
    fn jobs_are_healthy_when_they_are_done(
        #[case] conditions: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check("batch", "Job", json!({"status": {"conditions": conditions}}), expected, message);
    }

    const EARLY: &str = "2026-11-25T01:00:00Z";
    const LATE: &str = "2026-11-25T02:00:00Z";

    #[rstest]
    #[case::suspended(json!({"suspend": true}), json!(null), Healthy, "suspended")]
    #[case::new(json!({}), json!(null), Progressing, "Waiting for CronJob")]
    #[case::idle(json!({}), json!({}), Healthy, "not been scheduled yet")]
    #[case::first_run(json!({}), json!({"lastScheduleTime": LATE, "active": [{}]}), Healthy, "never completed")]
    #[case::running(json!({}), json!({"lastScheduleTime": LATE, "lastSuccessfulTime": EARLY, "active": [{}]}), Healthy, "running")]
    #[case::failed(json!({}), json!({"lastScheduleTime": LATE, "lastSuccessfulTime": EARLY}), Degraded, "not completed its last execution")]
    #[case::done(json!({}), json!({"lastScheduleTime": EARLY, "lastSuccessfulTime": LATE}), Healthy, "has completed its last execution")]
    #[case::done_at_once(json!({}), json!({"lastScheduleTime": LATE, "lastSuccessfulTime": LATE}), Healthy, "has completed its last execution")]
    fn cron_jobs_tell_of_their_last_run(
        #[case] spec: Value,
        #[case] status: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({"spec": spec, "status": status});
        let health = crate::health::assess("batch", "CronJob", &live).expect("health");
        assert_eq!(health.status, expected);
        assert!(health.message.contains(message), "{}", health.message);
    }
}
