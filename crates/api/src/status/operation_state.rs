//! `status.operationState`: the operation that runs or ran last, and what it did to each object.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code::{OperationPhase, ResultCode, known};
use super::shared;
use crate::is_default;
use crate::operation::Operation;
use crate::source::ApplicationSource;
use crate::sync_policy::ManagedNamespaceMetadata;
use crate::time::Time;

/// The operation that runs or ran last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationState {
    /// What was asked for.
    pub operation: Operation,
    /// How far it is. `Running` with `finishedAt` means waiting to be repeated.
    pub phase: OperationPhase,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub message: String,
    /// What was done.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sync_result: Option<SyncOperationResult>,
    /// When it began.
    pub started_at: Time,
    /// When it, or its last attempt, ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub finished_at: Option<Time>,
    /// How often it was repeated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry_count: i64,
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncOperationResult {
    /// Object by object.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "shared")]
    pub resources: Arc<Vec<ResourceResult>>,
    /// The revision applied.
    pub revision: String,
    /// The source applied.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Option<ApplicationSource>,
    /// The sources applied, when several.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sources: Vec<ApplicationSource>,
    /// The revisions applied, one for each of several sources.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revisions: Vec<String>,
    /// Labels and annotations of the namespace that was made.
    #[serde(default, skip_serializing_if = "is_default")]
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// What a sync did to one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceResult {
    /// API group; empty is the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What was done; absent while it is not known.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "known")]
    pub status: Option<ResultCode>,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub message: String,
    /// How far the object is: for hooks and for objects that are waited for.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "known_phase")]
    pub hook_phase: Option<OperationPhase>,
    /// The hook's type: `PreSync`, `Sync`, `PostSync` and so on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hook_type: String,
    /// The phase of the sync in which it was done.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sync_phase: String,
    /// The images that the object runs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub images: Vec<String>,
}

/// Argo CD writes an empty phase for objects that have none.
fn known_phase<'de, D>(deserializer: D) -> Result<Option<OperationPhase>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.as_deref().and_then(OperationPhase::parse))
}
