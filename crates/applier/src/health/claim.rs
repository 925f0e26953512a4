//! Health of PersistentVolumeClaims.

use serde_json::Value;

use super::{Health, text};

/// A claim is healthy when it has its volume.
pub(super) fn assess(live: &Value) -> Health {
    match text(live, "/status/phase") {
        "Bound" => Health::healthy(""),
        "Pending" => Health::progressing(""),
        "Lost" => Health::degraded(""),
        _ => Health::unknown(""),
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Unknown};
    use rstest::rstest;
    use serde_json::json;

    use crate::health::tests::check;

    #[rstest]
    #[case("Bound", Healthy)]
    #[case("Pending", Progressing)]
    #[case("Lost", Degraded)]
    #[case("", Unknown)]
    fn claims_are_healthy_when_bound(#[case] phase: &str, #[case] expected: HealthStatusCode) {
        check("", "PersistentVolumeClaim", json!({"status": {"phase": phase}}), expected, "");
    }
}
