//! Health of ApplicationSets, by what whoever expands them says. Ithaca does not: one that nobody expands is told so.

use serde_json::Value;

use super::{
    Health,
    condition::{Condition, find},
};

const UNEXPANDED: &str = "waiting for Argo CD's ApplicationSet controller, which expands it";

/// Reads the conditions: errors first, then a roll-out by steps.
pub(super) fn assess(live: &Value) -> Health {
    let (error, up_to_date) = (find(live, "ErrorOccurred"), find(live, "ResourcesUpToDate"));
    let failed = error.filter(Condition::is_true).or(up_to_date.filter(Condition::is_false));
    if let Some(failed) = failed {
        return Health::degraded(failed.message);
    }
    if let Some(rollout) = find(live, "RolloutProgressing").filter(Condition::is_true) {
        return Health::progressing(rollout.message);
    }
    match up_to_date.filter(Condition::is_true) {
        Some(done) => Health::healthy(done.message),
        None => Health::progressing(UNEXPANDED),
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::UNEXPANDED;
    use crate::health::tests::check;

    #[rstest]
    #[case::unexpanded(&[], Progressing, UNEXPANDED)]
    #[case::expanded(&[("ErrorOccurred", "False"), ("ResourcesUpToDate", "True")], Healthy, "ResourcesUpToDate")]
    #[case::failed(&[("ResourcesUpToDate", "True"), ("ErrorOccurred", "True")], Degraded, "ErrorOccurred")]
    #[case::behind(&[("RolloutProgressing", "True"), ("ResourcesUpToDate", "False")], Degraded, "ResourcesUpToDate")]
    #[case::rolling(&[("ResourcesUpToDate", "True"), ("RolloutProgressing", "True")], Progressing, "RolloutProgressing")]
    fn an_application_set_is_as_who_expands_it_says(
        #[case] conditions: &[(&str, &str)],
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status)| json!({"type": kind, "status": status, "message": kind}))
            .collect();
        let live = json!({"status": {"conditions": conditions}});
        check("argoproj.io", "ApplicationSet", live, expected, message);
    }
}
