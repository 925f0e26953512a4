//! One source of an Application's manifests, and what each kind of source may be told.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::is_default;
use crate::schema;

/// Where value files that are named by URLs are laid into a source's files, for its renderer alone. It may not be the
/// name of anything in a repository.
pub const REMOTE_VALUE_FILES: &str = ".ithaca-remote-value-files";

/// What such a file is called in its folder.
pub const REMOTE_VALUE_FILE: &str = "values.yaml";

/// The folder of the value file at a URL.
#[must_use]
pub fn remote_value_folder(url: &str) -> String {
    format!("{REMOTE_VALUE_FILES}/{}", url.replace('%', "%25").replace('/', "%2F"))
}

/// Where manifests come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSource {
    /// The repository's URL: Git, Helm or OCI.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// The folder inside a Git repository.
    #[serde(default, skip_serializing_if = "is_default")]
    pub path: String,
    /// Branch, tag, commit or `HEAD`; for a chart its version. Empty means `HEAD`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub target_revision: String,
    /// Helm's own parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub helm: Option<Helm>,
    /// Kustomize's own parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kustomize: Option<Kustomize>,
    /// A plain folder's own parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub directory: Option<Directory>,
    /// A plugin's own parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub plugin: Option<Plugin>,
    /// The chart's name in a Helm repository, in place of `path`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub chart: String,
    /// The name under which other sources reach this one's files, as `$name/…`.
    #[serde(rename = "ref", default, skip_serializing_if = "is_default")]
    pub reference: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    /// What stands before the version in tags that a version constraint picks from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tag_prefix: String,
}

impl ApplicationSource {
    /// The revision to resolve: what the user wrote, else `HEAD`.
    pub fn target_revision(&self) -> &str {
        if self.target_revision.is_empty() { "HEAD" } else { &self.target_revision }
    }

    /// The same as a status may show it: without credentials in its URL.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self { repo_url: without_credentials(&self.repo_url), ..self.clone() }
    }

    /// True for a source that only lends its files to others and renders nothing.
    pub fn is_reference_only(&self) -> bool {
        !self.reference.is_empty() && self.path.is_empty() && self.chart.is_empty()
    }
}

/// What Helm may be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Helm {
    /// Value files in order: paths from the chart, `$ref/…`, URLs or globs.
    #[serde(skip_serializing_if = "is_default")]
    pub value_files: Vec<String>,
    /// Values set one by one, over all others.
    #[serde(skip_serializing_if = "is_default")]
    pub parameters: Vec<HelmParameter>,
    /// The release's name; empty means the Application's.
    #[serde(skip_serializing_if = "is_default")]
    pub release_name: String,
    /// Values as YAML text, over the value files.
    #[serde(skip_serializing_if = "is_default")]
    pub values: String,
    /// Values set from files' contents.
    #[serde(skip_serializing_if = "is_default")]
    pub file_parameters: Vec<HelmFileParameter>,
    /// Helm's major version; taken and ignored.
    #[serde(skip_serializing_if = "is_default")]
    pub version: String,
    /// Hand the repository's credentials on to other hosts.
    #[serde(skip_serializing_if = "is_default")]
    pub pass_credentials: bool,
    /// Leave out value files that do not exist.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_missing_value_files: bool,
    /// Leave out the chart's `crds` folder.
    #[serde(skip_serializing_if = "is_default")]
    pub skip_crds: bool,
    /// Values as an object; `values` is then ignored.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::free_object")]
    pub values_object: Option<Value>,
    /// The release's namespace; empty means the destination's.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
    /// The Kubernetes version that templates see; empty means the destination's.
    #[serde(skip_serializing_if = "is_default")]
    pub kube_version: String,
    /// The API versions that templates see; empty means the destination's.
    #[serde(skip_serializing_if = "is_default")]
    pub api_versions: Vec<String>,
    /// Leave out test manifests.
    #[serde(skip_serializing_if = "is_default")]
    pub skip_tests: bool,
    /// Do not check values against the chart's schema.
    #[serde(skip_serializing_if = "is_default")]
    pub skip_schema_validation: bool,
}

/// One value of a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmParameter {
    /// The value's path, with dots.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The value.
    #[serde(skip_serializing_if = "is_default")]
    pub value: String,
    /// Take the value as text whatever it looks like.
    #[serde(skip_serializing_if = "is_default")]
    pub force_string: bool,
}

/// One value of a chart, taken from a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HelmFileParameter {
    /// The value's path, with dots.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The file's path from the chart, or `$ref/…`.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
}

/// What Kustomize may be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Kustomize {
    /// The tool's version; empty means the installed one.
    #[serde(skip_serializing_if = "is_default")]
    pub version: String,
    /// What is put before every name.
    #[serde(skip_serializing_if = "is_default")]
    pub name_prefix: String,
    /// What is put after every name.
    #[serde(skip_serializing_if = "is_default")]
    pub name_suffix: String,
    /// Image overrides, as `[old=]name[:tag|@digest]`.
    #[serde(skip_serializing_if = "is_default")]
    pub images: Vec<String>,
    /// Replica counts by workload.
    #[serde(skip_serializing_if = "is_default")]
    pub replicas: Vec<KustomizeReplica>,
    /// Labels added to everything.
    #[serde(skip_serializing_if = "is_default")]
    pub common_labels: BTreeMap<String, String>,
    /// Leave selectors alone when adding labels.
    #[serde(skip_serializing_if = "is_default")]
    pub label_without_selector: bool,
    /// Label pod templates too, where selectors are left alone.
    #[serde(skip_serializing_if = "is_default")]
    pub label_include_templates: bool,
    /// Overwrite labels that exist.
    #[serde(skip_serializing_if = "is_default")]
    pub force_common_labels: bool,
    /// Annotations added to everything.
    #[serde(skip_serializing_if = "is_default")]
    pub common_annotations: BTreeMap<String, String>,
    /// Replace variables in the values of annotations.
    #[serde(skip_serializing_if = "is_default")]
    pub common_annotations_envsubst: bool,
    /// Overwrite annotations that exist.
    #[serde(skip_serializing_if = "is_default")]
    pub force_common_annotations: bool,
    /// The namespace set on everything.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
    /// Components added to the kustomization.
    #[serde(skip_serializing_if = "is_default")]
    pub components: Vec<String>,
    /// Leave out components that do not exist.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_missing_components: bool,
    /// Patches added to the kustomization.
    #[serde(skip_serializing_if = "is_default")]
    pub patches: Vec<KustomizePatch>,
    /// The Kubernetes version that inflated charts see; empty means the destination's.
    #[serde(skip_serializing_if = "is_default")]
    pub kube_version: String,
    /// The API versions that inflated charts see; empty means the destination's.
    #[serde(skip_serializing_if = "is_default")]
    pub api_versions: Vec<String>,
}

/// A workload's replica count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KustomizeReplica {
    /// The workload's name.
    pub name: String,
    /// The count: a number, or a text that holds one.
    #[schemars(schema_with = "schema::int_or_string")]
    pub count: Value,
}

/// A patch and what it is applied to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KustomizePatch {
    /// The patch's file.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// The patch's text.
    #[serde(skip_serializing_if = "is_default")]
    pub patch: String,
    /// What the patch is applied to.
    #[serde(skip_serializing_if = "is_default")]
    pub target: Option<KustomizeTarget>,
    /// Switches of Kustomize, by name.
    #[serde(skip_serializing_if = "is_default")]
    pub options: BTreeMap<String, bool>,
}

/// Which objects a patch is applied to; empty fields match all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KustomizeTarget {
    /// API group.
    #[serde(skip_serializing_if = "is_default")]
    pub group: String,
    /// API version.
    #[serde(skip_serializing_if = "is_default")]
    pub version: String,
    /// Kind.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// Name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// Namespace.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
    /// Labels.
    #[serde(skip_serializing_if = "is_default")]
    pub label_selector: String,
    /// Annotations.
    #[serde(skip_serializing_if = "is_default")]
    pub annotation_selector: String,
}

/// What may be said about a plain folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Directory {
    /// Read folders below as well.
    #[serde(skip_serializing_if = "is_default")]
    pub recurse: bool,
    /// Jsonnet's own parameters.
    #[serde(skip_serializing_if = "is_default")]
    pub jsonnet: Jsonnet,
    /// Files to leave out, a glob over the path from the folder; it wins over `include`.
    #[serde(skip_serializing_if = "is_default")]
    pub exclude: String,
    /// Files to read, a glob over the path from the folder; empty means all.
    #[serde(skip_serializing_if = "is_default")]
    pub include: String,
}

/// What Jsonnet may be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Jsonnet {
    /// External variables.
    #[serde(skip_serializing_if = "is_default")]
    pub ext_vars: Vec<JsonnetVariable>,
    /// Top-level arguments.
    #[serde(skip_serializing_if = "is_default")]
    pub tlas: Vec<JsonnetVariable>,
    /// Library folders.
    #[serde(skip_serializing_if = "is_default")]
    pub libs: Vec<String>,
}

/// A variable of Jsonnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JsonnetVariable {
    /// The variable's name.
    pub name: String,
    /// The variable's value.
    pub value: String,
    /// The value is code, not text.
    #[serde(default, skip_serializing_if = "is_default")]
    pub code: bool,
}

/// What a plugin may be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Plugin {
    /// The plugin's name; empty means found by discovery.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// Environment variables.
    #[serde(skip_serializing_if = "is_default")]
    pub env: Vec<EnvironmentVariable>,
    /// Parameters.
    #[serde(skip_serializing_if = "is_default")]
    pub parameters: Vec<PluginParameter>,
}

/// An environment variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentVariable {
    /// The variable's name.
    pub name: String,
    /// The variable's value.
    pub value: String,
}

/// A plugin's parameter: a text, a list or a map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PluginParameter {
    /// The parameter's name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The value as text; an empty one is not an absent one.
    #[serde(skip_serializing_if = "is_default")]
    pub string: Option<String>,
    /// The value as a list.
    #[serde(skip_serializing_if = "is_default")]
    pub array: Option<Vec<String>>,
    /// The value as a map.
    #[serde(skip_serializing_if = "is_default")]
    pub map: Option<BTreeMap<String, String>>,
}

/// A repository's URL without a user's name and password, to be shown.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_show() {
        assert_eq!(without_credentials("https://u:p@example.org/a.git"), "https://example.org/a.git");
        assert_eq!(without_credentials("https://example.org/a@b"), "https://example.org/a@b");
        assert_eq!(without_credentials("git@example.org:a.git"), "git@example.org:a.git");
        let source = ApplicationSource {
            repo_url: "https://u:p@example.org/a".to_owned(),
            path: "x".to_owned(),
            ..ApplicationSource::default()
        };
        let shown = source.shown();
        assert_eq!((shown.repo_url.as_str(), shown.path.as_str()), ("https://example.org/a", "x"));
    }
}
