//! Which tool renders a source: what the spec says outright, else what its folder holds.

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
        file_names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AmbiguousSource> {
        if let Some(explicit) = Self::explicit(source)? {
            return Ok(explicit);
        }
        let mut found = Self::Directory;
        for name in file_names {
            if name == CHART_FILE {
                return Ok(Self::Helm);
            }
            if KUSTOMIZATION_FILES.contains(&name) {
                found = Self::Kustomize;
            }
        }
        Ok(found)
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
        SourceType::detect(&source, names.iter().copied())
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
