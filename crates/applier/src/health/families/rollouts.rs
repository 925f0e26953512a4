//! Health of Argo Rollouts: rollouts and what they are measured by; and of workflows that run by the clock.

use serde_json::Value;

use super::{Health, How, Phase, Rule, condition};

const GROUP: &str = "argoproj.io";
const AT: &str = "/status/phase";
const MESSAGE: &str = "/status/message";

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        GROUP,
        &["Rollout"],
        How::Phase(Phase {
            at: AT,
            message: MESSAGE,
            healthy: &["Healthy"],
            degraded: &["Degraded", "Error", "InvalidSpec"],
            suspended: &["Paused"],
            unknown: &[],
        }),
    ),
    Rule::new(
        GROUP,
        &["AnalysisRun", "Experiment"],
        How::Phase(Phase {
            at: AT,
            message: MESSAGE,
            healthy: &["Successful"],
            degraded: &["Failed", "Error"],
            suspended: &[],
            unknown: &["Inconclusive"],
        }),
    ),
    Rule::new(GROUP, &["CronWorkflow"], How::Own(cron_workflow)),
];

/// A schedule is well unless its workflow cannot be made.
fn cron_workflow(live: &Value) -> Option<Health> {
    let mut errors =
        condition::all(live).filter(|found| ["SubmissionError", "SpecError"].contains(&found.kind));
    Some(match errors.find(condition::Condition::is_true) {
        Some(error) => Health::degraded(error.message),
        None => Health::healthy(""),
    })
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended, Unknown};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::families::{
        UNTOUCHED,
        tests::{check, is, with},
    };

    #[rstest]
    #[case::new("Rollout", json!({}), Progressing, UNTOUCHED)]
    #[case::rolling("Rollout", json!({"status": {"phase": "Progressing", "message": "more replicas need to be updated"}}), Progressing, "more replicas need to be updated")]
    #[case::paused("Rollout", json!({"status": {"phase": "Paused", "message": "CanaryPauseStep"}}), Suspended, "CanaryPauseStep")]
    #[case::rolled("Rollout", json!({"metadata": {"generation": 4}, "status": {"observedGeneration": "4", "phase": "Healthy"}}), Healthy, "Healthy")]
    #[case::aborted("Rollout", json!({"status": {"phase": "Degraded", "message": "RolloutAborted: metric failed"}}), Degraded, "RolloutAborted: metric failed")]
    #[case::changed(
        "Rollout",
        json!({"metadata": {"generation": 5}, "status": {"observedGeneration": "4", "phase": "Healthy"}}),
        Progressing,
        "Waiting for the newest generation to be observed"
    )]
    #[case::new_run("AnalysisRun", json!({}), Progressing, UNTOUCHED)]
    #[case::running("AnalysisRun", json!({"status": {"phase": "Running"}}), Progressing, "Running")]
    #[case::successful("AnalysisRun", json!({"status": {"phase": "Successful"}}), Healthy, "Successful")]
    #[case::failed("AnalysisRun", json!({"status": {"phase": "Failed", "message": "too slow"}}), Degraded, "too slow")]
    #[case::inconclusive("AnalysisRun", json!({"status": {"phase": "Inconclusive"}}), Unknown, "Inconclusive")]
    #[case::pending("Experiment", json!({"status": {"phase": "Pending"}}), Progressing, "Pending")]
    #[case::experiment("Experiment", json!({"status": {"phase": "Error", "message": "no template"}}), Degraded, "no template")]
    #[case::schedule("CronWorkflow", json!({}), Healthy, "")]
    #[case::bad_schedule("CronWorkflow", with(json!([is("SpecError", "True", "cron")])), Degraded, "cron SpecError")]
    fn rollouts(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check(GROUP, kind, &live, Some(expected), message);
    }

    #[test]
    fn templates_have_no_health() {
        for kind in ["AnalysisTemplate", "ClusterAnalysisTemplate", "WorkflowTemplate"] {
            check(GROUP, kind, &json!({"spec": {}}), None, "");
        }
    }
}
