//! What kustomize is told on its command line, as the installation's ConfigMap has it: for overlays that ask for no
//! version of it, and for each version. The options are handed on as they are written; the renderer judges them.

use std::collections::BTreeMap;

use ithaca_api::ApplicationSource;

const KEY: &str = "kustomize.buildOptions";

/// Options by the version that a source asks for; those without a version by the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOptions(BTreeMap<String, String>);

impl BuildOptions {
    /// What the ConfigMap says.
    pub fn of(data: &BTreeMap<String, String>) -> Self {
        let version = |key: &str| {
            let rest = key.strip_prefix(KEY)?;
            if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('.').map(str::to_owned) }
        };
        Self(data.iter().filter_map(|(key, options)| Some((version(key)?, options.clone()))).collect())
    }

    /// What concerns a source. One that asks for a version has that version's options alone.
    pub fn of_source(&self, source: &ApplicationSource) -> &str {
        let version = source.kustomize.as_ref().map_or("", |kustomize| kustomize.version.as_str());
        self.0.get(version).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_has_its_own_options_and_no_others() {
        let data =
            [(KEY, "--enable-helm"), ("kustomize.buildOptions.v4", "--a"), ("kustomize.path.v5", "/x")];
        let options = BuildOptions::of(&data.map(|(key, text)| (key.to_owned(), text.to_owned())).into());
        let of = |kustomize: serde_json::Value| {
            let source = serde_json::from_value(json!({"repoURL": "r", "kustomize": kustomize}));
            options.of_source(&source.expect("a source")).to_owned()
        };
        assert_eq!(of(json!(null)), "--enable-helm");
        assert_eq!(of(json!({"namePrefix": "x"})), "--enable-helm");
        assert_eq!(of(json!({"version": "v4"})), "--a");
        assert_eq!(of(json!({"version": "v5"})), "");
    }
}
