//! Health of what extends the API: CustomResourceDefinitions and APIServices.

use serde_json::Value;

use super::{Health, condition};

/// An APIService is healthy when the API server reaches it.
pub(super) fn assess_api_service(live: &Value) -> Health {
    let Some(available) = condition::find(live, "Available") else {
        return Health::progressing("Waiting to be processed");
    };
    let message = format!("{}: {}", available.reason, available.message);
    if available.is_true() { Health::healthy(message) } else { Health::progressing(message) }
}

/// A definition is healthy when its resources are served.
pub(super) fn assess_definition(live: &Value) -> Health {
    if condition::all(live).next().is_none() {
        return Health::progressing("Status conditions not found");
    }
    let find = |kind| condition::find(live, kind);
    if let Some(terminating) = find("Terminating").filter(|condition| condition.is_true()) {
        return Health::progressing(format!("CRD is terminating: {}", terminating.message));
    }
    if let Some(names) = find("NamesAccepted").filter(|condition| condition.is_false()) {
        return Health::degraded(format!("CRD names have not been accepted: {}", names.message));
    }
    match find("Established") {
        Some(established) if established.is_true() => {}
        // The API server's own first word on a definition that it is about to serve.
        Some(established) if established.reason == "Installing" => {
            return Health::progressing("CRD is being installed");
        }
        _ => return Health::degraded("CRD is not established"),
    }
    if let Some(schema) = find("NonStructuralSchema").filter(|condition| condition.is_true()) {
        return Health::degraded(format!("Schema violations found: {}", schema.message));
    }
    Health::healthy("CRD is healthy")
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    fn condition(kind: &str, status: &str) -> Value {
        json!({"type": kind, "status": status, "reason": "Because", "message": "so it is"})
    }

    #[rstest]
    #[case::new(json!([]), Progressing, "Waiting to be processed")]
    #[case::reached(json!([condition("Available", "True")]), Healthy, "Because: so it is")]
    #[case::not_reached(json!([condition("Available", "False")]), Progressing, "Because: so it is")]
    fn api_services_are_healthy_when_reached(
        #[case] conditions: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({"status": {"conditions": conditions}});
        check("apiregistration.k8s.io", "APIService", live, expected, message);
    }

    #[rstest]
    #[case::new(json!([]), Progressing, "Status conditions not found")]
    #[case::served(json!([condition("NamesAccepted", "True"), condition("Established", "True")]), Healthy, "CRD is healthy")]
    #[case::taken(
        json!([condition("NamesAccepted", "False"), condition("Established", "False")]),
        Degraded,
        "CRD names have not been accepted: so it is"
    )]
    #[case::accepted_only(json!([condition("NamesAccepted", "True")]), Degraded, "CRD is not established")]
    #[case::taken_back(
        json!([condition("NamesAccepted", "True"), condition("Established", "False")]),
        Degraded,
        "CRD is not established"
    )]
    #[case::on_its_way(
        json!([condition("NamesAccepted", "True"), {"type": "Established", "status": "False", "reason": "Installing"}]),
        Progressing,
        "CRD is being installed"
    )]
    #[case::going(
        json!([condition("Established", "True"), condition("Terminating", "True")]),
        Progressing,
        "CRD is terminating: so it is"
    )]
    #[case::bad_schema(
        json!([condition("Established", "True"), condition("NonStructuralSchema", "True")]),
        Degraded,
        "Schema violations found: so it is"
    )]
    fn definitions_are_healthy_when_served(
        #[case] conditions: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({"status": {"conditions": conditions}});
        check("apiextensions.k8s.io", "CustomResourceDefinition", live, expected, message);
    }
}
