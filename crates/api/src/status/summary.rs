//! `status.summary` and `status.sourceHydrator`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::application::SourceHydrator;
use crate::is_default;
use crate::time::Time;

/// What an Application's objects amount to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// URLs under which the Application is reached.
    #[serde(rename = "externalURLs", skip_serializing_if = "is_default")]
    pub external_urls: Vec<String>,
    /// Images that it runs.
    #[serde(skip_serializing_if = "is_default")]
    pub images: Vec<String>,
    /// It manages other Applications.
    #[serde(skip_serializing_if = "is_default")]
    pub is_app_of_apps: bool,
}

/// What the hydrator did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HydratorStatus {
    /// What it last did as asked.
    #[serde(skip_serializing_if = "is_default")]
    pub last_successful_operation: Option<SuccessfulHydrateOperation>,
    /// What it does or did last.
    #[serde(skip_serializing_if = "is_default")]
    pub current_operation: Option<HydrateOperation>,
    /// The dry revision it last looked at.
    #[serde(skip_serializing_if = "is_default")]
    pub last_compared_dry_revision: String,
}

/// A hydration that was done as asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SuccessfulHydrateOperation {
    /// The commit rendered.
    #[serde(rename = "drySHA", skip_serializing_if = "is_default")]
    pub dry_sha: String,
    /// The commit that holds the result.
    #[serde(rename = "hydratedSHA", skip_serializing_if = "is_default")]
    pub hydrated_sha: String,
    /// What was asked for.
    #[serde(skip_serializing_if = "is_default")]
    pub source_hydrator: Option<SourceHydrator>,
}

/// A hydration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HydrateOperation {
    /// `Hydrating`, `Failed` or `Hydrated`.
    pub phase: String,
    /// What happened, for people.
    pub message: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "is_default")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub finished_at: Option<Time>,
    /// The commit rendered.
    #[serde(rename = "drySHA", default, skip_serializing_if = "is_default")]
    pub dry_sha: String,
    /// The commit that holds the result.
    #[serde(rename = "hydratedSHA", default, skip_serializing_if = "is_default")]
    pub hydrated_sha: String,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source_hydrator: Option<SourceHydrator>,
}
