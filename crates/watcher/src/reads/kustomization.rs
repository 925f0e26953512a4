//! What a kustomization, or the configuration of a built-in plugin, names: its content comes in, paths as they are
//! written go out. Nothing is looked up here.

use serde_json::Value;

/// Fields that hold a list of files and folders, which may be URLs of either.
const RESOURCES: [&str; 2] = ["resources", "bases"];
/// The field that holds a list of folders, which may be URLs of such.
const COMPONENTS: &str = "components";
/// Fields that hold a list of paths.
const PATHS: [&str; 2] = ["crds", "configurations"];
/// Fields whose entries are texts that may be paths or patches.
const PATCHES: [&str; 2] = ["patchesStrategicMerge", "patches"];
/// Fields that hold a list of plugins' configurations: inline, files, or folders of such.
const PLUGINS: [&str; 3] = ["generators", "transformers", "validators"];
/// Fields that hold entries which name paths.
const ENTRIES: [&str; 7] = [
    "patches",
    "patchesJson6902",
    "replacements",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
    "helmChartInflationGenerator",
];
/// Fields of such entries, and of plugins' configurations, that hold a path or a list of them.
const ENTRY_PATHS: [&str; 11] = [
    "path",
    "paths",
    "files",
    "envs",
    "env",
    "values",
    "valuesFile",
    "additionalValuesFiles",
    "configHome",
    "helmHome",
    "targetFilePath",
];
/// The plugin that inflates a chart.
const INFLATES: &str = "HelmChartInflationGenerator";
/// Where charts lie unless something else is said.
const CHART_HOME: &str = "charts";

/// What is named, as it is written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// Folders and files, which may be URLs.
    pub(super) resources: Vec<String>,
    /// Folders, which may be URLs.
    pub(super) components: Vec<String>,
    /// Folders and files that have to be in the repository.
    pub(super) paths: Vec<String>,
    /// Plugins' configurations, which name more.
    pub(super) plugins: Vec<String>,
    /// Charts to inflate.
    pub(super) charts: Vec<Chart>,
}

/// A chart that is inflated.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chart {
    /// The folder that it is looked for in, by its name.
    pub(super) home: String,
    pub(super) name: String,
    /// A version, or a range of them.
    pub(super) version: String,
    /// The URL to have it from where it is not there; empty where it has to be.
    pub(super) repository: String,
}

impl Named {
    /// What a kustomization names.
    pub(super) fn in_kustomization(kustomization: &Value) -> Self {
        let mut named = Self::default();
        named.resources.extend(RESOURCES.iter().flat_map(|field| texts(&kustomization[field])));
        named.components.extend(texts(&kustomization[COMPONENTS]));
        for field in PATHS.iter().chain(&PATCHES) {
            named.paths.extend(texts(&kustomization[field]));
        }
        for field in PLUGINS {
            named.plugins.extend(texts(&kustomization[field]));
        }
        for entry in ENTRIES.iter().flat_map(|field| list(&kustomization[field])) {
            named.add_entry(entry);
        }
        named.add_text(&kustomization["openapi"]["path"]);
        let globals = &kustomization["helmGlobals"];
        named.add_text(&globals["configHome"]);
        for chart in list(&kustomization["helmCharts"]) {
            named.add_chart(chart, ["name", "version", "repo"], globals["chartHome"].as_str());
        }
        for chart in list(&kustomization["helmChartInflationGenerator"]) {
            let fields = ["chartName", "chartVersion", "chartRepoUrl"];
            named.add_chart(chart, fields, chart["chartHome"].as_str());
        }
        named
    }

    /// What configurations of built-in plugins name, a text of one or more documents.
    pub(super) fn in_plugins(text: &str) -> Self {
        let mut named = Self::default();
        for document in documents(text) {
            named.add_entry(&document);
            list(&document["replacements"]).for_each(|entry| named.add_entry(entry));
            if document["kind"] == INFLATES {
                let fields = ["name", "version", "repo"];
                named.add_chart(&document, fields, document["chartHome"].as_str());
            }
        }
        named
    }

    fn add_entry(&mut self, entry: &Value) {
        for value in ENTRY_PATHS.iter().map(|field| &entry[field]) {
            self.add_text(value);
            self.paths.extend(texts(value).map(|text| file_of(&text)));
        }
    }

    fn add_text(&mut self, value: &Value) {
        self.paths.extend(value.as_str().map(file_of));
    }

    /// A chart lies under its name; one of a version that could be fetched in a folder of that version.
    fn add_chart(&mut self, chart: &Value, fields: [&str; 3], home: Option<&str>) {
        let [name, version, repository] = fields.map(|field| chart[field].as_str().unwrap_or_default());
        let home = home.filter(|home| !home.is_empty()).unwrap_or(CHART_HOME);
        let is_versioned = !version.is_empty() && !repository.is_empty();
        let home = if is_versioned { format!("{home}/{name}-{version}") } else { home.to_owned() };
        let newest = if chart["devel"] == true { ">0.0.0-0" } else { "*" };
        self.charts.push(Chart {
            home,
            name: name.to_owned(),
            version: if version.is_empty() { newest } else { version }.to_owned(),
            repository: repository.to_owned(),
        });
    }
}

/// The documents of a text. What does not parse names nothing: it is the renderer that reports it.
pub(super) fn documents(text: &str) -> Vec<Value> {
    // To kustomize a file may be called `n`.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_multiple_with_options(text, options).unwrap_or_default()
}

/// The resources of a kustomization.
pub(super) fn resources(kustomization: &Value) -> Vec<String> {
    texts(&kustomization["resources"]).collect()
}

/// Whether a text is content and no path.
pub(super) fn is_inline(text: &str) -> bool {
    text.contains('\n') || text.trim_start().starts_with(['{', '['])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = String> + use<'_> {
    list(value).filter_map(Value::as_str).map(str::to_owned)
}

/// Generators may write `key=file`. The query of a URL has such a sign as well.
fn file_of(entry: &str) -> String {
    let keyed = entry.split_once('=').filter(|(key, _)| !key.contains("://"));
    keyed.map_or(entry, |(_, file)| file).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::resources(json!({"resources": ["a", "../b"]}), &["a", "../b"])]
    #[case::bases(json!({"bases": ["a"]}), &["a"])]
    #[case::components(json!({"components": ["a"]}), &["a"])]
    #[case::crds(json!({"crds": ["a"]}), &["a"])]
    #[case::configurations(json!({"configurations": ["a"]}), &["a"])]
    #[case::openapi(json!({"openapi": {"path": "a"}}), &["a"])]
    #[case::strategic_patches(json!({"patchesStrategicMerge": ["a"]}), &["a"])]
    #[case::json_patches(json!({"patchesJson6902": [{"path": "a", "target": {"name": "x"}}]}), &["a"])]
    #[case::patches(json!({"patches": [{"path": "a"}, {"patch": "b: c"}]}), &["a"])]
    #[case::replacements(json!({"replacements": [{"path": "a"}, {"source": {"name": "x"}}]}), &["a"])]
    #[case::config_maps(
        json!({"configMapGenerator": [{"files": ["k=a", "b"], "envs": ["c"], "env": "d", "literals": ["x=y"]}]}),
        &["a", "b", "c", "d"]
    )]
    #[case::secrets(json!({"secretGenerator": [{"files": ["a"], "envs": ["b"]}]}), &["a", "b"])]
    #[case::charts(
        json!({"helmCharts": [{"name": "n", "valuesFile": "a", "additionalValuesFiles": ["b"]}]}),
        &["a", "b", "charts in charts: n *"]
    )]
    #[case::charts_elsewhere(
        json!({"helmGlobals": {"chartHome": "../h"}, "helmCharts": [{"name": "n", "version": "1"}]}),
        &["charts in ../h: n 1"]
    )]
    #[case::fetched_charts(
        json!({"helmCharts": [{"name": "n", "version": "1", "repo": "https://r"}]}),
        &["charts in charts/n-1: n 1 of https://r"]
    )]
    #[case::old_charts(
        json!({"helmChartInflationGenerator": [{"chartName": "n", "chartHome": "h", "values": "v"}]}),
        &["v", "charts in h: n *"]
    )]
    fn every_field_that_names_a_file_is_known(#[case] kustomization: Value, #[case] paths: &[&str]) {
        assert_eq!(all(Named::in_kustomization(&kustomization)), paths);
    }

    #[rstest]
    #[case::generator("kind: ConfigMapGenerator\nfiles: [k=a]\nenvs: [b]\n", &["a", "b"])]
    #[case::patch("kind: PatchTransformer\npath: a\n---\nkind: X\npath: b\n", &["a", "b"])]
    #[case::patches("kind: PatchStrategicMergeTransformer\npaths: [a]\n", &["a"])]
    #[case::replacements("kind: ReplacementTransformer\nreplacements: [{path: a}]\n", &["a"])]
    #[case::chart(
        "kind: HelmChartInflationGenerator\nname: n\nchartHome: h\nvaluesFile: v\n",
        &["v", "charts in h: n *"]
    )]
    #[case::fields_of_objects("kind: LabelTransformer\nfieldSpecs: [{path: metadata/labels}]\n", &[])]
    #[case::no_yaml("{", &[])]
    fn configurations_of_plugins_name_files(#[case] text: &str, #[case] paths: &[&str]) {
        assert_eq!(all(Named::in_plugins(text)), paths);
    }

    fn all(named: Named) -> Vec<String> {
        let of = |repository: &str| match repository {
            "" => String::new(),
            repository => format!(" of {repository}"),
        };
        let chart = |Chart { home, name, version, repository }: Chart| {
            format!("charts in {home}: {name} {version}{}", of(&repository))
        };
        let paths = named.resources.into_iter().chain(named.components).chain(named.paths);
        paths.chain(named.charts.into_iter().map(chart)).collect()
    }
}
