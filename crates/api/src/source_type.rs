//! Which tool renders a source: what the spec says outright, else what its folder holds.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::source::ApplicationSource;

/// The names by which Kustomize knows its file.
pub const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The file that makes a folder a chart.
pub const CHART_FILE: &str = "Chart.yaml";

/// The tool that renders a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SourceType {
    /// `helm template`.
    Helm,
    /// `kustomize build`.
    Kustomize,
    /// Plain manifests and Jsonnet.
    Directory,
    /// A config management plugin.
    Plugin,
}

/// Which tools the installation lets sources be made with, as ConfigMap `argocd-cm` has them. A source of another tool is
/// a plain folder, as with Argo CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnabledTools {
    /// `helm.enable`.
    pub helm: bool,
    /// `kustomize.enable`.
    pub kustomize: bool,
    /// `jsonnet.enable`: without it, programs in plain folders are passed over.
    pub jsonnet: bool,
}

impl Default for EnabledTools {
    fn default() -> Self {
        Self { helm: true, kustomize: true, jsonnet: true }
    }
}

impl EnabledTools {
    /// What settings say. A setting that is not `true` is as if it were `false`; an empty one is none.
    pub fn of(settings: &BTreeMap<String, String>) -> Self {
        let enabled = |key: &str| settings.get(key).is_none_or(|value| value.is_empty() || value == "true");
        Self {
            helm: enabled("helm.enable"),
            kustomize: enabled("kustomize.enable"),
            jsonnet: enabled("jsonnet.enable"),
        }
    }

    /// All but those with these names.
    pub fn without<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut enabled = Self::default();
        for name in names {
            match name {
                "helm" => enabled.helm = false,
                "kustomize" => enabled.kustomize = false,
                "jsonnet" => enabled.jsonnet = false,
                _ => {}
            }
        }
        enabled
    }

    /// The names of those that are not enabled, in order.
    pub fn disabled(self) -> impl Iterator<Item = &'static str> {
        let all = [(self.helm, "helm"), (self.jsonnet, "jsonnet"), (self.kustomize, "kustomize")];
        all.into_iter().filter_map(|(enabled, name)| (!enabled).then_some(name))
    }

    fn allow(self, kind: SourceType) -> bool {
        match kind {
            SourceType::Helm => self.helm,
            SourceType::Kustomize => self.kustomize,
            SourceType::Directory | SourceType::Plugin => true,
        }
    }
}

/// A spec that names more than one tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("multiple application sources defined: {}", names(.types))]
pub struct AmbiguousSource {
    types: Vec<SourceType>,
}

impl SourceType {
    /// The tool for a source whose folder holds the given file names (no paths).
    pub fn detect<'a>(
        source: &ApplicationSource,
        enabled: EnabledTools,
        file_names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AmbiguousSource> {
        Ok(match Self::explicit(source)? {
            Some(explicit) if enabled.allow(explicit) => explicit,
            Some(_) => Self::Directory,
            None => Self::of_files(enabled, file_names),
        })
    }

    /// The tool for a folder that holds the given file names, where nothing is said of it.
    pub fn of_files<'a>(enabled: EnabledTools, file_names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::Directory;
        for name in file_names {
            if name == CHART_FILE && enabled.helm {
                return Self::Helm;
            }
            if KUSTOMIZATION_FILES.contains(&name) && enabled.kustomize {
                found = Self::Kustomize;
            }
        }
        found
    }

    /// The tool that the spec says outright, if it does.
    pub fn explicit(source: &ApplicationSource) -> Result<Option<Self>, AmbiguousSource> {
        let types: Vec<Self> = [
            (source.kustomize.is_some(), Self::Kustomize),
            (source.helm.is_some(), Self::Helm),
            (source.directory.is_some(), Self::Directory),
            (source.plugin.is_some(), Self::Plugin),
        ]
        .into_iter()
        .filter_map(|(present, kind)| present.then_some(kind))
        .collect();
        match types.as_slice() {
            [] if source.chart.is_empty() => Ok(None),
            [] => Ok(Some(Self::Helm)),
            [one] => Ok(Some(*one)),
            _ => Err(AmbiguousSource { types }),
        }
    }

    /// The name as statuses have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Helm => "Helm",
            Self::Kustomize => "Kustomize",
            Self::Directory => "Directory",
            Self::Plugin => "Plugin",
        }
    }
}

impl fmt::Display for SourceType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

fn names(types: &[SourceType]) -> String {
    let names: Vec<_> = types.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn detect(source: serde_json::Value, names: &[&str]) -> Result<SourceType, AmbiguousSource> {
        let mut source = source;
        source["repoURL"] = json!("r");
        let source = serde_json::from_value(source).expect("a source");
        SourceType::detect(&source, EnabledTools::default(), names.iter().copied())
    }

    #[test]
    fn a_source_of_a_tool_that_is_not_enabled_is_a_plain_folder() {
        let settings = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            EnabledTools::of(&pairs.collect())
        };
        assert_eq!(settings(&[("helm.enable", "")]), EnabledTools::default());
        let no_helm = settings(&[("helm.enable", "false"), ("kustomize.enable", "true")]);
        let neither =
            settings(&[("helm.enable", "no"), ("kustomize.enable", "False"), ("jsonnet.enable", "0")]);
        assert_eq!(neither.disabled().collect::<Vec<_>>(), ["helm", "jsonnet", "kustomize"]);
        assert_eq!(EnabledTools::without(neither.disabled()), neither);
        for (source, enabled, expected) in [
            (json!({}), no_helm, SourceType::Kustomize),
            (json!({}), neither, SourceType::Directory),
            (json!({"helm": {}}), no_helm, SourceType::Directory),
            (json!({"chart": "redis"}), no_helm, SourceType::Directory),
            (json!({"kustomize": {}}), no_helm, SourceType::Kustomize),
            (json!({"plugin": {}}), neither, SourceType::Plugin),
        ] {
            let mut source = source;
            source["repoURL"] = json!("r");
            let source = serde_json::from_value(source).expect("a source");
            let found = SourceType::detect(&source, enabled, ["kustomization.yaml", "Chart.yaml"]);
            assert_eq!(found, Ok(expected), "{enabled:?}");
        }
    }

    #[test]
    fn the_folder_decides_where_the_spec_does_not() {
        assert_eq!(detect(json!({}), &["a.yaml"]), Ok(SourceType::Directory));
        assert_eq!(detect(json!({}), &["kustomization.yml"]), Ok(SourceType::Kustomize));
        assert_eq!(detect(json!({}), &["Kustomization", "Chart.yaml"]), Ok(SourceType::Helm));
        assert_eq!(detect(json!({}), &["chart.yaml"]), Ok(SourceType::Directory));
    }

    #[test]
    fn the_spec_wins_and_may_say_one_thing_only() {
        assert_eq!(detect(json!({"directory": {}}), &["Chart.yaml"]), Ok(SourceType::Directory));
        assert_eq!(detect(json!({"chart": "redis"}), &[]), Ok(SourceType::Helm));
        let error = detect(json!({"helm": {}, "kustomize": {}}), &[]).expect_err("ambiguous");
        assert_eq!(error.to_string(), "multiple application sources defined: Kustomize, Helm");
    }
}
