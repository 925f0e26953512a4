//! `operation`: the request to act now that people and tools write on an Application.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::application::Info;
use crate::is_default;
use crate::source::ApplicationSource;
use crate::sync_policy::Retry;

/// A request to act now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// Make the cluster match.
    #[serde(skip_serializing_if = "is_default")]
    pub sync: Option<SyncOperation>,
    /// Who asked.
    #[serde(skip_serializing_if = "is_default")]
    pub initiated_by: Initiator,
    /// Facts for people.
    #[serde(skip_serializing_if = "is_default")]
    pub info: Vec<Info>,
    /// How the operation is repeated when it fails; absent means never.
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Retry,
}

/// Who asked for an operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Initiator {
    /// The user's name.
    #[serde(skip_serializing_if = "is_default")]
    pub username: String,
    /// True where no person asked.
    #[serde(skip_serializing_if = "is_default")]
    pub automated: bool,
}

/// How the cluster is made to match, this once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncOperation {
    /// The revision to take; empty means the one that the source tracks.
    #[serde(skip_serializing_if = "is_default")]
    pub revision: String,
    /// The revisions to take, one for each of several sources.
    #[serde(skip_serializing_if = "is_default")]
    pub revisions: Vec<String>,
    /// The source to take in place of the spec's.
    #[serde(skip_serializing_if = "is_default")]
    pub source: Option<ApplicationSource>,
    /// The sources to take in place of the spec's.
    #[serde(skip_serializing_if = "is_default")]
    pub sources: Vec<ApplicationSource>,
    /// Delete objects that the revision does not have.
    #[serde(skip_serializing_if = "is_default")]
    pub prune: bool,
    /// Only find out what would happen.
    #[serde(skip_serializing_if = "is_default")]
    pub dry_run: bool,
    /// The only objects to apply; empty means all. With a list, no hooks run and no history is kept.
    #[serde(skip_serializing_if = "is_default")]
    pub resources: Vec<SyncResource>,
    /// Manifests to take in place of the source's.
    #[serde(skip_serializing_if = "is_default")]
    pub manifests: Vec<String>,
    /// The options in force; the spec's are not added.
    #[serde(skip_serializing_if = "is_default")]
    pub sync_options: Vec<String>,
    /// Whether hooks run, and whether objects are replaced by force.
    #[serde(skip_serializing_if = "is_default")]
    pub sync_strategy: Option<SyncStrategy>,
    /// How often self-heal has tried this revision.
    #[serde(skip_serializing_if = "is_default")]
    pub auto_heal_attempts_count: i64,
}

impl SyncOperation {
    /// True where hooks run: no `apply` strategy, and no list of objects.
    pub fn runs_hooks(&self) -> bool {
        self.resources.is_empty()
            && self.sync_strategy.as_ref().is_none_or(|strategy| strategy.apply.is_none())
    }

    /// True where the strategy asks to replace objects by force.
    pub fn forces(&self) -> bool {
        self.sync_strategy.as_ref().is_some_and(|strategy| {
            let chosen = strategy.apply.as_ref().or(strategy.hook.as_ref());
            chosen.is_some_and(|strategy| strategy.force)
        })
    }
}

/// An object that an operation is limited to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SyncResource {
    /// API group; empty is the core group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; empty is any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespace: String,
}

/// Either plain applying or applying with hooks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SyncStrategy {
    /// Apply without hooks.
    #[serde(skip_serializing_if = "is_default")]
    pub apply: Option<Strategy>,
    /// Apply with hooks, as where no strategy is given.
    #[serde(skip_serializing_if = "is_default")]
    pub hook: Option<Strategy>,
}

/// What a strategy does beyond its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Strategy {
    /// Delete and create objects that cannot be changed in place.
    #[serde(skip_serializing_if = "is_default")]
    pub force: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sync(value: serde_json::Value) -> SyncOperation {
        serde_json::from_value(value).expect("a sync operation")
    }

    #[test]
    fn hooks_run_unless_the_strategy_or_a_list_says_otherwise() {
        assert!(sync(json!({})).runs_hooks());
        assert!(sync(json!({"syncStrategy": {"hook": {}}})).runs_hooks());
        assert!(!sync(json!({"syncStrategy": {"apply": {}}})).runs_hooks());
        assert!(!sync(json!({"resources": [{"kind": "Service", "name": "a"}]})).runs_hooks());
    }

    #[test]
    fn either_strategy_may_force() {
        assert!(sync(json!({"syncStrategy": {"hook": {"force": true}}})).forces());
        assert!(sync(json!({"syncStrategy": {"apply": {"force": true}}})).forces());
        assert!(!sync(json!({"syncStrategy": {"apply": {}}})).forces());
        assert!(!sync(json!({})).forces());
    }
}
