//! The AppProject: what its Applications may take from where, put where, and who may act on them.

mod account;
mod integrity;
mod orphan;
mod permissions;
mod window;

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::destination::Destination;
use crate::object::namespaced_object;
use crate::{API_VERSION, is_default, schema};

pub use integrity::{Depth, GitDemand, HelmDemand, Integrity, OciDemand};
pub use orphan::Orphans;
pub use permissions::{ClusterRef, Permissions, SourceRepos};
pub use window::{Gate, Target, Windows};

/// An AppProject object.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct AppProject {
    /// Name, namespace and the rest of what every object has.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is allowed.
    #[serde(default)]
    pub spec: AppProjectSpec,
    /// The tokens handed out.
    #[serde(default)]
    pub status: Option<AppProjectStatus>,
}

namespaced_object!(AppProject, kind: "AppProject", plural: "appprojects");

impl Serialize for AppProject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("AppProject", 5)?;
        object.serialize_field("apiVersion", API_VERSION)?;
        object.serialize_field("kind", "AppProject")?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &self.spec)?;
        if let Some(status) = &self.status {
            object.serialize_field("status", status)?;
        }
        object.end()
    }
}

/// What a project's Applications may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AppProjectSpec {
    /// Repositories that manifests may come from: globs, `!` denies.
    #[serde(skip_serializing_if = "is_default")]
    pub source_repos: Vec<String>,
    /// Clusters and namespaces that objects may go to: globs, `!` denies.
    #[serde(skip_serializing_if = "is_default")]
    pub destinations: Vec<Destination>,
    /// What the project is for.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// Who may act, and how.
    #[serde(skip_serializing_if = "is_default")]
    pub roles: Vec<ProjectRole>,
    /// Cluster-scoped kinds that are allowed; absent means none.
    #[serde(skip_serializing_if = "is_default")]
    pub cluster_resource_whitelist: Option<Vec<ClusterResource>>,
    /// Namespaced kinds that are not allowed.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace_resource_blacklist: Option<Vec<GroupKind>>,
    /// What to say about objects that no Application manages.
    #[serde(skip_serializing_if = "is_default")]
    pub orphaned_resources: Option<OrphanedResources>,
    /// When Applications may be synced.
    #[serde(skip_serializing_if = "is_default")]
    pub sync_windows: Vec<SyncWindow>,
    /// Namespaced kinds that are allowed; absent means all.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace_resource_whitelist: Option<Vec<GroupKind>>,
    /// Keys that commits must be signed with; an older form of `sourceIntegrity`.
    #[serde(skip_serializing_if = "is_default")]
    pub signature_keys: Vec<SignatureKey>,
    /// Cluster-scoped kinds that are not allowed.
    #[serde(skip_serializing_if = "is_default")]
    pub cluster_resource_blacklist: Option<Vec<ClusterResource>>,
    /// Namespaces in which the project's Applications may live.
    #[serde(skip_serializing_if = "is_default")]
    pub source_namespaces: Vec<String>,
    /// Allow clusters of this project only.
    #[serde(skip_serializing_if = "is_default")]
    pub permit_only_project_scoped_clusters: bool,
    /// Accounts to act as, by destination.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_service_accounts: Vec<DestinationServiceAccount>,
    /// How sources prove where they come from.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::free_object")]
    pub source_integrity: Option<Value>,
}

/// A namespaced kind; both parts are globs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupKind {
    /// API group; empty is the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

/// A cluster-scoped kind, and a name where only some objects are meant; all parts are globs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterResource {
    /// API group; empty is the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name; empty is any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
}

/// Who may act, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectRole {
    /// The role's name.
    pub name: String,
    /// What the role is for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// Lines of policy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policies: Vec<String>,
    /// Tokens that have the role.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jwt_tokens: Vec<JwtToken>,
    /// Groups of users that have the role.
    #[serde(default, skip_serializing_if = "is_default")]
    pub groups: Vec<String>,
}

/// A token that was handed out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JwtToken {
    /// When, in seconds since 1970.
    pub iat: i64,
    /// Until when, in seconds since 1970.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exp: i64,
    /// The token's name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub id: String,
}

/// What to say about objects that no Application manages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrphanedResources {
    /// Whether to warn.
    #[serde(skip_serializing_if = "is_default")]
    pub warn: Option<bool>,
    /// Objects to say nothing about.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore: Vec<OrphanedResource>,
}

/// Objects to say nothing about; all parts are globs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrphanedResource {
    /// API group.
    #[serde(skip_serializing_if = "is_default")]
    pub group: String,
    /// Kind.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// Name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
}

/// When Applications may, or may not, be synced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncWindow {
    /// `allow` or `deny`.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// When it opens, as a cron expression.
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: String,
    /// How long it stays open.
    #[serde(skip_serializing_if = "is_default")]
    pub duration: String,
    /// The Applications it holds for: globs.
    #[serde(skip_serializing_if = "is_default")]
    pub applications: Vec<String>,
    /// The namespaces it holds for: globs.
    #[serde(skip_serializing_if = "is_default")]
    pub namespaces: Vec<String>,
    /// The clusters it holds for: globs.
    #[serde(skip_serializing_if = "is_default")]
    pub clusters: Vec<String>,
    /// Syncs that people ask for are allowed.
    #[serde(skip_serializing_if = "is_default")]
    pub manual_sync: bool,
    /// The schedule's time zone; empty means UTC.
    #[serde(skip_serializing_if = "is_default")]
    pub time_zone: String,
    /// All of applications, namespaces and clusters must match, not one.
    #[serde(skip_serializing_if = "is_default")]
    pub and_operator: bool,
    /// Operations that run when it closes may finish.
    #[serde(skip_serializing_if = "is_default")]
    pub sync_overrun: bool,
    /// What it is for.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
}

/// A key that commits must be signed with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SignatureKey {
    /// The key's id.
    #[serde(rename = "keyID")]
    pub key_id: String,
}

/// An account to act as.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestinationServiceAccount {
    /// The destination's URL, a glob.
    pub server: String,
    /// The destination's namespace, a glob.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespace: String,
    /// The account, as `name` or `namespace:name`.
    pub default_service_account: String,
}

/// The tokens that were handed out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AppProjectStatus {
    /// Tokens by role.
    #[serde(skip_serializing_if = "is_default")]
    pub jwt_tokens_by_role: BTreeMap<String, JwtTokens>,
}

/// Tokens of one role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JwtTokens {
    /// The tokens.
    #[serde(skip_serializing_if = "is_default")]
    pub items: Vec<JwtToken>,
}
