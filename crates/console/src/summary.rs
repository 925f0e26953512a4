//! What the list shows of an Application, and all that is kept of it. Pure.

use ithaca_api::{
    Application, HealthStatusCode, OperationPhase, SyncStatusCode, Time,
    status::{ApplicationStatus, OperationState},
};
use kube::core::{ObjectMeta, error_boundary::DeserializeGuard};
use serde::Serialize;

use crate::page::text;

/// Which Application: its namespace and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// An Application in a few hundred bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub namespace: String,
    pub name: String,
    pub project: String,
    pub sync: SyncStatusCode,
    pub health: HealthStatusCode,
    /// One for each source.
    pub revisions: Vec<String>,
    /// `path @ revision` of each source, with the repository's last part.
    pub sources: Vec<String>,
    pub destination: String,
    /// The operation that runs or ran last.
    pub operation: Option<OperationSummary>,
    /// The text of the first error condition; empty where there is none.
    pub error: String,
    pub is_being_deleted: bool,
}

/// The operation that runs or ran last.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationSummary {
    pub phase: OperationPhase,
    /// When it ended, or began where it runs.
    pub at: Time,
}

impl Summary {
    pub fn key(&self) -> Key {
        Key { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// The summary of an Application, also of one that cannot be read as such.
    pub fn of(object: &DeserializeGuard<Application>) -> Self {
        match &object.0 {
            Ok(application) => Self::of_application(application),
            Err(invalid) => {
                let mut summary = Self::of_metadata(&invalid.metadata);
                summary.error = format!("failed to read the Application: {}", invalid.error);
                summary
            }
        }
    }

    fn of_application(application: &Application) -> Self {
        let empty = ApplicationStatus::default();
        let status = application.status.as_ref().unwrap_or(&empty);
        let error = status.conditions.iter().find(|condition| condition.type_.is_error());
        Self {
            project: application.spec.project().to_owned(),
            sync: status.sync.as_ref().map(|sync| sync.status).unwrap_or_default(),
            health: status.health.as_ref().and_then(|health| health.status).unwrap_or_default(),
            revisions: status
                .sync
                .as_ref()
                .map(|sync| ithaca_api::status::one_or_several(&sync.revision, &sync.revisions))
                .unwrap_or_default(),
            sources: application.spec.sources().iter().map(text::source_in_short).collect(),
            destination: text::destination(&application.spec.destination),
            operation: status.operation_state.as_ref().map(OperationSummary::of),
            error: error.map(|condition| condition.message.clone()).unwrap_or_default(),
            ..Self::of_metadata(&application.metadata)
        }
    }

    fn of_metadata(metadata: &ObjectMeta) -> Self {
        let Key { namespace, name } = Key::of(metadata);
        Self {
            namespace,
            name,
            project: String::new(),
            sync: SyncStatusCode::Unknown,
            health: HealthStatusCode::Unknown,
            revisions: Vec::new(),
            sources: Vec::new(),
            destination: String::new(),
            operation: None,
            error: String::new(),
            is_being_deleted: metadata.deletion_timestamp.is_some(),
        }
    }
}

impl OperationSummary {
    fn of(state: &OperationState) -> Self {
        Self { phase: state.phase, at: state.finished_at.unwrap_or(state.started_at) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_has_the_states_and_the_first_error() {
        let object = json!({
            "metadata": {"name": "web", "namespace": "argocd"},
            "spec": {
                "project": "",
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "web"},
                "sources": [{"repoURL": "https://u:p@example.org/team/repo.git", "path": "apps/web"},
                            {"repoURL": "https://charts.example.org", "chart": "redis", "targetRevision": "1.2"}],
            },
            "status": {
                "sync": {"status": "OutOfSync", "revisions": ["0123456", "1.2.3"]},
                "health": {"status": "Degraded"},
                "conditions": [
                    {"type": "RepeatedResourceWarning", "message": "twice"},
                    {"type": "ComparisonError", "message": "failed to find path"},
                ],
            },
        });
        let guarded: DeserializeGuard<Application> = serde_json::from_value(object).expect("an application");
        let summary = Summary::of(&guarded);
        assert_eq!((summary.sync, summary.health), (SyncStatusCode::OutOfSync, HealthStatusCode::Degraded));
        assert_eq!(summary.sources, ["repo/apps/web", "redis @ 1.2"]);
        assert_eq!(summary.error, "failed to find path");
        assert_eq!(summary.project, "default");
        assert_eq!(summary.destination, "in-cluster / web");
    }

    #[test]
    fn an_application_that_cannot_be_read_is_listed_with_the_reason() {
        let object = json!({"metadata": {"name": "bad", "namespace": "argocd"}, "spec": {"project": 7}});
        let guarded: DeserializeGuard<Application> = serde_json::from_value(object).expect("a guard");
        let summary = Summary::of(&guarded);
        assert_eq!(summary.key().to_string(), "argocd/bad");
        assert!(summary.error.starts_with("failed to read the Application"), "{}", summary.error);
    }
}
