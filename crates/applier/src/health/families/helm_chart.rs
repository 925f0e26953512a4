//! Health of the charts that K3s installs by itself: HelmChart. A HelmChartConfig has no status, and so no health.

use serde_json::Value;

use super::{Health, How, Rule, UNTOUCHED, condition};

pub(super) const RULES: &[Rule] = &[Rule::new("helm.cattle.io", &["HelmChart"], How::Own(chart))];

/// The controller tells that a job was created, and when it failed; of a success it says nothing more.
fn chart(live: &Value) -> Option<Health> {
    let find = |kind| condition::find(live, kind);
    if let Some(failed) = find("Failed").filter(condition::Condition::is_true) {
        return Some(Health::degraded(failed.message));
    }
    Some(match find("JobCreated") {
        Some(created) if created.is_true() => Health::healthy(created.message),
        Some(waiting) => Health::progressing(waiting.message),
        None => Health::progressing(UNTOUCHED),
    })
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::families::tests::{check, is, with};

    #[rstest]
    #[case::new(json!({}), Progressing, UNTOUCHED)]
    #[case::named(json!({"status": {"jobName": "helm-install-web"}}), Progressing, UNTOUCHED)]
    #[case::created(with(json!([is("JobCreated", "True", "Job created")])), Healthy, "Job created JobCreated")]
    #[case::installed(
        with(json!([is("JobCreated", "True", "Job created"), is("Failed", "False", "")])),
        Healthy,
        "Job created JobCreated"
    )]
    #[case::waiting(with(json!([is("JobCreated", "False", "Waiting")])), Progressing, "Waiting JobCreated")]
    #[case::failed(
        with(json!([is("JobCreated", "True", "Job created"), is("Failed", "True", "Job failed")])),
        Degraded,
        "Job failed Failed"
    )]
    fn charts(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        check("helm.cattle.io", "HelmChart", &live, Some(expected), message);
    }

    #[test]
    fn their_settings_have_no_health() {
        check("helm.cattle.io", "HelmChartConfig", &json!({"spec": {"valuesContent": ""}}), None, "");
    }
}
