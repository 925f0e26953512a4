//! Health of KEDA's scalers.

use super::{How, Rule};

pub(super) const RULES: &[Rule] = &[Rule::new("keda.sh", &["ScaledObject", "ScaledJob"], How::Conditions)];

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::families::{
        UNTOUCHED,
        tests::{check, is, with},
    };

    #[rstest]
    #[case::new(json!({}), Progressing, UNTOUCHED)]
    #[case::begins(
        with(json!([{"type": "Ready", "status": "Unknown"}, {"type": "Active", "status": "Unknown"}])),
        Progressing,
        "Ready is Unknown"
    )]
    #[case::idle(
        with(json!([is("Ready", "True", "ScaledObjectReady"), is("Active", "False", "ScalerNotActive"), is("Paused", "False", "")])),
        Healthy,
        "ScaledObjectReady Ready"
    )]
    #[case::no_target(with(json!([is("Ready", "False", "ScaledObjectCheckFailed")])), Degraded, "ScaledObjectCheckFailed Ready")]
    #[case::paused(
        with(json!([is("Ready", "True", "ScaledObjectReady"), is("Paused", "True", "ScaledObjectPaused")])),
        Suspended,
        "ScaledObjectPaused Paused"
    )]
    fn scalers(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        for kind in ["ScaledObject", "ScaledJob"] {
            check("keda.sh", kind, &live, Some(expected), message);
        }
    }

    #[test]
    fn credentials_have_no_health() {
        check("keda.sh", "TriggerAuthentication", &json!({"status": {"scaledobjects": "web"}}), None, "");
    }
}
