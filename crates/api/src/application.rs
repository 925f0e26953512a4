//! The Application: what should run where, the request to act now, and what is known about it.

use kube::core::ObjectMeta;
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::annotation::DEFAULT_PROJECT;
use crate::destination::Destination;
use crate::object::namespaced_object;
use crate::operation::Operation;
use crate::source::ApplicationSource;
use crate::status::ApplicationStatus;
use crate::sync_policy::{IgnoreDifference, SyncPolicy};
use crate::{API_VERSION, is_default};

/// How many deployments `status.history` keeps where the spec says nothing.
const DEFAULT_REVISION_HISTORY_LIMIT: usize = 10;

/// An Application object. It has no status subresource: every part is written to the main resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Application {
    /// Name, namespace, annotations and the rest of what every object has.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What should run where.
    pub spec: ApplicationSpec,
    /// A request to act now; the controller takes it away when it starts.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// What is known about the Application.
    #[serde(default)]
    pub status: Option<ApplicationStatus>,
}

namespaced_object!(Application, kind: "Application", plural: "applications");

impl Serialize for Application {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Application", 6)?;
        object.serialize_field("apiVersion", API_VERSION)?;
        object.serialize_field("kind", "Application")?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &self.spec)?;
        if let Some(operation) = &self.operation {
            object.serialize_field("operation", operation)?;
        }
        if let Some(status) = &self.status {
            object.serialize_field("status", status)?;
        }
        object.end()
    }
}

/// What should run where, and how it is kept so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSpec {
    /// Where the objects go.
    pub destination: Destination,
    /// The AppProject that the Application belongs to.
    pub project: String,
    /// Where the manifests come from; ignored when `sources` has entries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Option<ApplicationSource>,
    /// Where the manifests come from, when from several places.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sources: Vec<ApplicationSource>,
    /// Where hydrated manifests come from and go to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source_hydrator: Option<SourceHydrator>,
    /// When and how the cluster is made to match.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sync_policy: Option<SyncPolicy>,
    /// Differences that do not count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_differences: Vec<IgnoreDifference>,
    /// Facts for people, shown on the Application's page.
    #[serde(default, skip_serializing_if = "is_default")]
    pub info: Vec<Info>,
    /// How many deployments the history keeps; 0 keeps none, absent keeps 10.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revision_history_limit: Option<i64>,
}

impl ApplicationSpec {
    /// The sources in force: `sources` where it has entries, else `source`, else none.
    pub fn sources(&self) -> &[ApplicationSource] {
        if self.sources.is_empty() { self.source.as_slice() } else { &self.sources }
    }

    /// True where the user wrote `sources`, so that statuses list revisions and sources in plural.
    pub fn has_multiple_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// The project's name; an empty one means the default project.
    pub fn project(&self) -> &str {
        if self.project.is_empty() { DEFAULT_PROJECT } else { &self.project }
    }

    /// How many deployments the history keeps.
    pub fn revision_history_limit(&self) -> usize {
        self.revision_history_limit
            .map_or(DEFAULT_REVISION_HISTORY_LIMIT, |limit| usize::try_from(limit).unwrap_or(0))
    }

    /// The application-level sync options; empty where there is no policy.
    pub fn sync_options(&self) -> &[String] {
        self.sync_policy.as_ref().map_or(&[], |policy| &policy.sync_options)
    }
}

/// A fact for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Info {
    /// What the fact is about.
    pub name: String,
    /// The fact.
    pub value: String,
}

/// Where hydrated manifests come from and go to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceHydrator {
    /// The source to render.
    pub dry_source: DrySource,
    /// The branch and path from which the rendered manifests are applied.
    pub sync_source: SyncSource,
    /// The branch to push rendered manifests to, where it is not the one applied from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hydrate_to: Option<HydrateTo>,
}

/// The source that a hydrator renders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrySource {
    /// The repository's URL.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch, tag, commit or `HEAD`.
    pub target_revision: String,
    /// The folder to render.
    pub path: String,
    /// Helm's own parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub helm: Option<crate::source::Helm>,
    /// Kustomize's own parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kustomize: Option<crate::source::Kustomize>,
    /// A plain folder's own parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub directory: Option<crate::source::Directory>,
    /// A plugin's own parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub plugin: Option<crate::source::Plugin>,
}

/// The branch and path from which hydrated manifests are applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncSource {
    /// The branch.
    pub target_branch: String,
    /// The folder.
    pub path: String,
    /// The repository, where it is not the dry source's.
    #[serde(rename = "repoURL", default, skip_serializing_if = "is_default")]
    pub repo_url: String,
}

/// The branch that hydrated manifests are pushed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HydrateTo {
    /// The branch.
    pub target_branch: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: serde_json::Value) -> ApplicationSpec {
        serde_json::from_value(value).expect("a spec")
    }

    #[test]
    fn source_counts_only_where_sources_is_empty() {
        let one = spec(json!({"destination": {}, "project": "", "source": {"repoURL": "a"}}));
        assert_eq!(one.sources().len(), 1);
        assert!(!one.has_multiple_sources());
        let both = spec(json!({
            "destination": {}, "project": "", "source": {"repoURL": "a"},
            "sources": [{"repoURL": "b"}, {"repoURL": "c"}],
        }));
        assert_eq!(both.sources()[0].repo_url, "b");
        assert_eq!(both.sources().len(), 2);
    }

    #[test]
    fn defaults_are_argo_cds() {
        let bare = spec(json!({"destination": {}, "project": ""}));
        assert_eq!(bare.project(), "default");
        assert_eq!(bare.revision_history_limit(), 10);
        assert!(bare.sources().is_empty());
        let none = spec(json!({"destination": {}, "project": "p", "revisionHistoryLimit": 0}));
        assert_eq!(none.revision_history_limit(), 0);
    }

    #[test]
    fn an_application_survives_a_round_trip_and_drops_unknown_fields() {
        let text = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "guestbook", "namespace": "argocd"},
            "spec": {
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "web"},
                "project": "default",
                "source": {
                    "repoURL": "https://example.org/repo.git", "path": "apps/web", "targetRevision": "HEAD",
                    "helm": {"valuesObject": {"replicas": 2, "nested": {"a": [1, "x"]}}, "skipCrds": true},
                },
                "syncPolicy": {"automated": {"prune": true}, "retry": {"limit": -1}},
            },
            "operation": {"sync": {"revision": "abc", "syncStrategy": {"hook": {"force": true}}}},
            "status": {
                "sync": {"status": "Synced", "revision": "abc"},
                "health": {"status": "Healthy", "lastTransitionTime": "2026-01-02T03:04:05Z"},
            },
        });
        let mut with_unknown = text.clone();
        with_unknown["spec"]["future"] = json!({"a": 1});
        let application: Application = serde_json::from_value(with_unknown).expect("an application");
        assert_eq!(serde_json::to_value(application).expect("JSON"), text);
    }
}
