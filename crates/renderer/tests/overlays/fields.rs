//! Every field that kustomize knows is used by some overlay, and no other is.
//! The list was made from the definitions of kustomize 5.8; it refuses fields that it does not know.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::oracle;
use crate::repository::{Repository, files};

/// Fields by path; below those in `FREE` the keys are the user's. Selectors and options are named in full.
const FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "openapi.path",
    "openapi.version",
    "buildMetadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "commonAnnotations",
    "labels.pairs",
    "labels.includeSelectors",
    "labels.includeTemplates",
    "labels.includeVolumeClaimTemplates",
    "labels.fields.group",
    "labels.fields.version",
    "labels.fields.kind",
    "labels.fields.path",
    "labels.fields.create",
    "images.name",
    "images.newName",
    "images.newTag",
    "images.tagSuffix",
    "images.digest",
    "imageTags.name",
    "imageTags.newName",
    "imageTags.newTag",
    "imageTags.tagSuffix",
    "imageTags.digest",
    "replicas.name",
    "replicas.count",
    "patchesStrategicMerge",
    "patchesJson6902.path",
    "patchesJson6902.patch",
    "patchesJson6902.target.SELECTOR",
    "patchesJson6902.options.allowNameChange",
    "patchesJson6902.options.allowKindChange",
    "patches.path",
    "patches.patch",
    "patches.target.SELECTOR",
    "patches.options.allowNameChange",
    "patches.options.allowKindChange",
    "replacements.path",
    "replacements.sourceValue",
    "replacements.source.group",
    "replacements.source.version",
    "replacements.source.kind",
    "replacements.source.name",
    "replacements.source.namespace",
    "replacements.source.fieldPath",
    "replacements.source.options.OPTIONS",
    "replacements.targets.select.SELECTOR",
    "replacements.targets.reject.SELECTOR",
    "replacements.targets.fieldPaths",
    "replacements.targets.options.OPTIONS",
    "vars.name",
    "vars.objref.apiVersion",
    "vars.objref.group",
    "vars.objref.version",
    "vars.objref.kind",
    "vars.objref.name",
    "vars.objref.namespace",
    "vars.fieldref.fieldPath",
    "sortOptions.order",
    "sortOptions.legacySortOptions.orderFirst",
    "sortOptions.legacySortOptions.orderLast",
    "configMapGenerator.GENERATOR",
    "secretGenerator.GENERATOR",
    "secretGenerator.type",
    "generatorOptions.GENERATED",
    "helmGlobals.chartHome",
    "helmGlobals.configHome",
    "helmCharts.name",
    "helmCharts.version",
    "helmCharts.repo",
    "helmCharts.releaseName",
    "helmCharts.namespace",
    "helmCharts.valuesFile",
    "helmCharts.additionalValuesFiles",
    "helmCharts.valuesInline",
    "helmCharts.valuesMerge",
    "helmCharts.includeCRDs",
    "helmCharts.skipHooks",
    "helmCharts.skipTests",
    "helmCharts.apiVersions",
    "helmCharts.kubeVersion",
    "helmCharts.nameTemplate",
    "helmCharts.debug",
    "helmCharts.devel",
    "helmChartInflationGenerator.chartName",
    "helmChartInflationGenerator.chartVersion",
    "helmChartInflationGenerator.chartRepoUrl",
    "helmChartInflationGenerator.chartRepoName",
    "helmChartInflationGenerator.chartHome",
    "helmChartInflationGenerator.helmBin",
    "helmChartInflationGenerator.helmHome",
    "helmChartInflationGenerator.values",
    "helmChartInflationGenerator.valuesLocal",
    "helmChartInflationGenerator.valuesMerge",
    "helmChartInflationGenerator.releaseName",
    "helmChartInflationGenerator.releaseNamespace",
    "helmChartInflationGenerator.extraArgs",
];

/// Words in capitals stand for fields that several places share.
const SHARED: &[(&str, &[&str])] = &[
    ("SELECTOR", &["group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"]),
    ("OPTIONS", &["delimiter", "index", "encoding", "create"]),
    (
        "GENERATOR",
        &["name", "namespace", "behavior", "literals", "files", "envs", "env", "options.GENERATED"],
    ),
    ("GENERATED", &["labels", "annotations", "disableNameSuffixHash", "immutable"]),
];

/// Fields whose keys are the user's.
const FREE: &[&str] =
    &["labels", "annotations", "pairs", "commonLabels", "commonAnnotations", "valuesInline", "valuesLocal"];

#[test]
fn the_overlays_use_every_field_of_kustomize() {
    let known: BTreeSet<String> = FIELDS.iter().flat_map(|field| expanded(field)).collect();
    let repository = Repository::new();
    let kustomizations =
        files(&repository.folder()).into_iter().filter(|path| path.ends_with("kustomization.yaml"));
    let texts: Vec<String> =
        kustomizations.map(|path| std::fs::read_to_string(path).expect("a text")).collect();
    let mut used = BTreeSet::new();
    for kustomization in oracle::read(&texts.iter().map(String::as_str).collect::<Vec<_>>()) {
        collect("", &kustomization, &mut used);
    }
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(unused.is_empty(), "no overlay uses {unused:?}");
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "not in the list: {unknown:?}");
}

fn expanded(field: &str) -> Vec<String> {
    match SHARED.iter().find(|(word, _)| field.ends_with(word)) {
        None => vec![field.to_owned()],
        Some((word, fields)) => {
            let before = field.strip_suffix(word).unwrap_or(field);
            fields.iter().flat_map(|field| expanded(&format!("{before}{field}"))).collect()
        }
    }
}

fn collect(path: &str, value: &Value, used: &mut BTreeSet<String>) {
    let is_free = |key: &str| FREE.contains(&key) && !(path.is_empty() && key == "labels");
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if is_free(key) {
                    used.insert(path);
                } else {
                    collect(&path, value, used);
                }
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| collect(path, item, used));
        }
        _ => drop(used.insert(path.to_owned())),
    }
}
