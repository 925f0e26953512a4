//! Health of Argo Workflows.

use serde_json::Value;

use super::{Health, text};

/// Reads the phase.
pub(super) fn assess(live: &Value) -> Health {
    let message = text(live, "/status/message");
    match text(live, "/status/phase") {
        "" | "Pending" | "Running" => Health::progressing(message),
        "Succeeded" => Health::healthy(message),
        "Failed" | "Error" => Health::degraded(message),
        _ => Health::unknown(message),
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Unknown};
    use rstest::rstest;
    use serde_json::json;

    use crate::health::tests::check;

    #[rstest]
    #[case("", Progressing)]
    #[case("Running", Progressing)]
    #[case("Succeeded", Healthy)]
    #[case("Failed", Degraded)]
    #[case("Error", Degraded)]
    #[case("Omitted", Unknown)]
    fn workflows_tell_by_their_phase(#[case] phase: &str, #[case] expected: HealthStatusCode) {
        let live = json!({"status": {"phase": phase, "message": "step 2"}});
        check("argoproj.io", "Workflow", live, expected, "step 2");
    }
}
