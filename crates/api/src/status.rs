//! `status` of an Application: what is known about it and what was done.
//!
//! Its two long lists are shared: an application of thousands of objects is copied for each decision about it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod code;
mod operation_state;
mod summary;

pub use code::{ConditionType, HealthStatusCode, OperationPhase, ResultCode, SyncStatusCode};
pub use operation_state::{OperationState, ResourceResult, SyncOperationResult};
pub use summary::{HydrateOperation, HydratorStatus, SuccessfulHydrateOperation, Summary};

use crate::destination::Destination;
use crate::is_default;
use crate::operation::Initiator;
use crate::source::ApplicationSource;
use crate::source_type::SourceType;
use crate::sync_policy::IgnoreDifference;
use crate::time::Time;

/// What is known about an Application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationStatus {
    /// Every managed object, sorted by group, kind, namespace and name.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "shared")]
    pub resources: Arc<Vec<ResourceStatus>>,
    /// Whether the cluster matches, and which revision it was compared with.
    #[serde(skip_serializing_if = "is_default")]
    pub sync: Option<SyncStatus>,
    /// The health of the Application as a whole.
    #[serde(skip_serializing_if = "is_default")]
    pub health: Option<AppHealthStatus>,
    /// Deployments, the oldest first.
    #[serde(skip_serializing_if = "is_default")]
    pub history: Vec<RevisionHistory>,
    /// What is wrong, or worth a warning.
    #[serde(skip_serializing_if = "is_default")]
    pub conditions: Vec<Condition>,
    /// When the state was last compared.
    #[serde(skip_serializing_if = "is_default")]
    pub reconciled_at: Option<Time>,
    /// The operation that runs or ran last.
    #[serde(skip_serializing_if = "is_default")]
    pub operation_state: Option<OperationState>,
    /// An older name of `reconciledAt`.
    #[serde(skip_serializing_if = "is_default")]
    pub observed_at: Option<Time>,
    /// Which tool renders the source.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "code::known")]
    #[schemars(with = "Option<String>")]
    pub source_type: Option<SourceType>,
    /// What the objects amount to.
    #[serde(skip_serializing_if = "is_default")]
    pub summary: Summary,
    /// Where the health of single objects is kept: `appTree` where it is not here.
    #[serde(skip_serializing_if = "is_default")]
    pub resource_health_source: String,
    /// Which tool renders each of several sources.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "code::all_known")]
    #[schemars(with = "Vec<String>")]
    pub source_types: Vec<SourceType>,
    /// The namespace of the controller that works on the Application.
    #[serde(skip_serializing_if = "is_default")]
    pub controller_namespace: String,
    /// What the hydrator did.
    #[serde(skip_serializing_if = "is_default")]
    pub source_hydrator: Option<HydratorStatus>,
}

/// One managed object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceStatus {
    /// API group; empty is the core group.
    #[serde(skip_serializing_if = "is_default")]
    pub group: String,
    /// API version.
    #[serde(skip_serializing_if = "is_default")]
    pub version: String,
    /// Kind.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
    /// Name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// Whether the object matches.
    #[serde(skip_serializing_if = "is_default")]
    pub status: Option<SyncStatusCode>,
    /// The object's health, where it is kept here.
    #[serde(skip_serializing_if = "is_default")]
    pub health: Option<HealthStatus>,
    /// The object is a hook.
    #[serde(skip_serializing_if = "is_default")]
    pub hook: bool,
    /// The object is no longer in the source.
    #[serde(skip_serializing_if = "is_default")]
    pub requires_pruning: bool,
    /// The object is deleted only when someone confirms.
    #[serde(skip_serializing_if = "is_default")]
    pub requires_deletion_confirmation: bool,
    /// The object's wave.
    #[serde(skip_serializing_if = "is_default")]
    pub sync_wave: i64,
}

/// The health of one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthStatus {
    /// The health.
    #[serde(skip_serializing_if = "is_default")]
    pub status: Option<HealthStatusCode>,
    /// Why, for people.
    #[serde(skip_serializing_if = "is_default")]
    pub message: String,
    /// Since when.
    #[serde(skip_serializing_if = "is_default")]
    pub last_transition_time: Option<Time>,
}

/// The health of an Application; the same shape as an object's.
pub type AppHealthStatus = HealthStatus;

/// Whether the cluster matches the source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// Whether it matches.
    pub status: SyncStatusCode,
    /// What was compared with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compared_to: Option<ComparedTo>,
    /// The revision compared with: a commit, or a chart's version.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revision: String,
    /// The revisions compared with, one for each of several sources.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revisions: Vec<String>,
}

/// The parts of the spec that a comparison used; a difference from the spec calls for a new one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedTo {
    /// The source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Option<ApplicationSource>,
    /// The destination.
    pub destination: Destination,
    /// The sources, when several.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sources: Vec<ApplicationSource>,
    /// The differences that did not count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_differences: Vec<IgnoreDifference>,
}

/// One deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionHistory {
    /// The revision deployed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revision: String,
    /// When the deployment was done.
    pub deployed_at: Time,
    /// A number that grows with each deployment.
    pub id: i64,
    /// The source deployed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Option<ApplicationSource>,
    /// When the deployment began.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deploy_started_at: Option<Time>,
    /// The sources deployed, when several.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sources: Vec<ApplicationSource>,
    /// The revisions deployed, one for each of several sources.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revisions: Vec<String>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub initiated_by: Initiator,
}

/// Something wrong, or worth a warning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What kind of thing.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// What it is, for people.
    pub message: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last_transition_time: Option<Time>,
}

/// A list to be shared, without the room that reading left behind its last entry.
fn shared<'de, D, T>(deserializer: D) -> Result<Arc<Vec<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut list = Vec::deserialize(deserializer)?;
    list.shrink_to_fit();
    Ok(Arc::new(list))
}

/// What Argo CD's statuses have in two fields, one for a single source and one for several.
pub fn one_or_several(one: &str, several: &[String]) -> Vec<String> {
    if several.is_empty() {
        [one].into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect()
    } else {
        several.to_vec()
    }
}
