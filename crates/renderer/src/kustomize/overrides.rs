//! `spec.source.kustomize` over a kustomization: the file's content comes in, the changed content goes out.
//! Each field does what `kustomize edit` would do; the file itself is not touched here.

use std::collections::BTreeMap;

use ithaca_api::source::{Kustomize, KustomizePatch};
use serde_json::{Map, Value, json};

use super::image;
use crate::environment::Environment;

/// Why the Application's words do not fit the kustomization.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// The file is not a map.
    #[error("it is not a map")]
    NotAMap,
    /// A field of the file has another shape.
    #[error("its {0} cannot be added to")]
    Shape(&'static str),
    /// A label or annotation that would be overwritten.
    #[error("{field} has \"{key}\" already; {force} would overwrite it")]
    Exists {
        /// commonLabels, labels or commonAnnotations.
        field: &'static str,
        /// The label's or annotation's name.
        key: String,
        /// The field that allows it.
        force: &'static str,
    },
    /// An image that names nothing to change.
    #[error("the image \"{0}\" is not [old=]name[:tag][@digest]")]
    Image(String),
    /// Templates are labelled by `commonLabels` as it is.
    #[error("labelIncludeTemplates needs labelWithoutSelector")]
    Templates,
    /// A count that is no number.
    #[error("the count of the replicas of \"{0}\" is not a whole number")]
    Count(String),
}

/// The kustomization with all overrides, or none where there are none.
///
/// # Errors
/// When an override does not fit what is there.
pub fn apply(
    kustomization: &Value,
    options: &Kustomize,
    environment: &Environment,
    exists: impl Fn(&str) -> bool,
) -> Result<Option<Value>, OverrideError> {
    let mut file = match kustomization {
        Value::Null => Map::new(),
        Value::Object(file) => file.clone(),
        _ => return Err(OverrideError::NotAMap),
    };
    let before = file.clone();
    let texts = [
        ("namePrefix", &options.name_prefix),
        ("nameSuffix", &options.name_suffix),
        ("namespace", &options.namespace),
    ];
    for (field, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        file.insert(field.to_owned(), json!(value));
    }
    images(&mut file, options, environment)?;
    replicas(&mut file, options)?;
    labels(&mut file, options, environment)?;
    annotations(&mut file, options, environment)?;
    let present = |component: &&String| !options.ignore_missing_components || exists(component);
    let components = list(&mut file, "components")?;
    for component in options.components.iter().filter(present) {
        if !components.iter().any(|known| known == component) {
            components.push(json!(component));
        }
    }
    list(&mut file, "patches")?.extend(options.patches.iter().map(patch));
    file.retain(|field, value| before.contains_key(field) || *value != json!([]) && *value != json!({}));
    Ok((file != before).then_some(Value::Object(file)))
}

/// Images are kept in the order of their names, which is the order in which they replace each other's names.
fn images(
    file: &mut Map<String, Value>,
    options: &Kustomize,
    environment: &Environment,
) -> Result<(), OverrideError> {
    if options.images.is_empty() {
        return Ok(());
    }
    // The field's name of long ago.
    let old = file.remove("imageTags");
    let images = list(file, "images")?;
    images.extend(old.iter().flat_map(|old| old.as_array().into_iter().flatten().cloned()));
    for image in &options.images {
        let image = environment.expand(image);
        let image = image::Image::parse(&image).ok_or_else(|| OverrideError::Image(image.clone()))?;
        let old = take_named(images, image.name);
        images.push(image.merged(old.as_ref()));
    }
    images.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
    Ok(())
}

fn replicas(file: &mut Map<String, Value>, options: &Kustomize) -> Result<(), OverrideError> {
    let replicas = list(file, "replicas")?;
    for replica in &options.replicas {
        let count = match &replica.count {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        let count = count.ok_or_else(|| OverrideError::Count(replica.name.clone()))?;
        take_named(replicas, &replica.name);
        replicas.push(json!({"name": replica.name, "count": count}));
    }
    if !options.replicas.is_empty() {
        replicas.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
    }
    Ok(())
}

fn labels(
    file: &mut Map<String, Value>,
    options: &Kustomize,
    environment: &Environment,
) -> Result<(), OverrideError> {
    if options.common_labels.is_empty() {
        return Ok(());
    }
    let labels = expanded(&options.common_labels, Some(environment));
    let force = options.force_common_labels;
    if options.label_without_selector {
        return add_labels(file, labels, options.label_include_templates, force);
    }
    if options.label_include_templates {
        return Err(OverrideError::Templates);
    }
    let known = file.entry("commonLabels").or_insert_with(|| json!({}));
    add("commonLabels", known, labels, (!force).then_some("forceCommonLabels"))
}

/// Adds labels to the first entry that treats them alike, or as an entry of their own.
fn add_labels(
    file: &mut Map<String, Value>,
    labels: BTreeMap<String, String>,
    include_templates: bool,
    force: bool,
) -> Result<(), OverrideError> {
    let entries = list(file, "labels")?;
    let is = |entry: &Value, flag: &str| entry[flag] == json!(true);
    let is_alike =
        |entry: &Value| !is(entry, "includeSelectors") && is(entry, "includeTemplates") == include_templates;
    let index = entries.iter().position(is_alike).unwrap_or_else(|| {
        entries.push(json!({"includeTemplates": include_templates}));
        entries.len() - 1
    });
    let entry = entries[index].as_object_mut().ok_or(OverrideError::Shape("labels"))?;
    let known = entry.entry("pairs").or_insert_with(|| json!({}));
    add("labels", known, labels, (!force).then_some("forceCommonLabels"))
}

fn annotations(
    file: &mut Map<String, Value>,
    options: &Kustomize,
    environment: &Environment,
) -> Result<(), OverrideError> {
    let environment = options.common_annotations_envsubst.then_some(environment);
    let annotations = expanded(&options.common_annotations, environment);
    let unless = (!options.force_common_annotations).then_some("forceCommonAnnotations");
    add(
        "commonAnnotations",
        file.entry("commonAnnotations").or_insert_with(|| json!({})),
        annotations,
        unless,
    )
}

fn expanded(
    values: &BTreeMap<String, String>,
    environment: Option<&Environment>,
) -> BTreeMap<String, String> {
    let expand = |value: &String| environment.map_or_else(|| value.clone(), |known| known.expand(value));
    values.iter().map(|(key, value)| (key.clone(), expand(value))).collect()
}

/// Adds to the map that a field holds; nothing is overwritten `unless` the field of that name allows it.
fn add(
    field: &'static str,
    known: &mut Value,
    values: BTreeMap<String, String>,
    unless: Option<&'static str>,
) -> Result<(), OverrideError> {
    if known.is_null() {
        *known = json!({});
    }
    let known = known.as_object_mut().ok_or(OverrideError::Shape(field))?;
    for (key, value) in values {
        if let (true, Some(force)) = (known.contains_key(&key), unless) {
            return Err(OverrideError::Exists { field, key, force });
        }
        known.insert(key, json!(value));
    }
    Ok(())
}

fn patch(patch: &KustomizePatch) -> Value {
    let mut written = json!({});
    if !patch.path.is_empty() {
        written["path"] = json!(patch.path);
    }
    if !patch.patch.is_empty() {
        written["patch"] = json!(patch.patch);
    }
    if let Some(target) = &patch.target {
        written["target"] = json!(target);
    }
    if !patch.options.is_empty() {
        written["options"] = json!(patch.options);
    }
    written
}

/// The list that a field holds; an empty one where it holds none.
fn list<'a>(
    file: &'a mut Map<String, Value>,
    field: &'static str,
) -> Result<&'a mut Vec<Value>, OverrideError> {
    let value = file.entry(field).or_insert_with(|| json!([]));
    if value.is_null() {
        *value = json!([]);
    }
    value.as_array_mut().ok_or(OverrideError::Shape(field))
}

fn take_named(list: &mut Vec<Value>, name: &str) -> Option<Value> {
    let index = list.iter().position(|item| item["name"] == name)?;
    Some(list.remove(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ithaca_api::build_environment::Build;
    use rstest::rstest;

    fn apply_to(file: Value, options: Value) -> Result<Option<Value>, OverrideError> {
        let options: Kustomize = serde_json::from_value(options).expect("options");
        let environment = Environment::new(Build { application: "shop", ..Build::default() });
        apply(&file, &options, &environment, |component| component == "here")
    }

    #[rstest]
    #[case::prefix_is_replaced(json!({"namePrefix": "a-"}), json!({"namePrefix": "b-"}), json!({"namePrefix": "b-"}))]
    #[case::namespace(json!({}), json!({"namespace": "x"}), json!({"namespace": "x"}))]
    #[case::tag(json!({}), json!({"images": ["r.io:5000/a/b:1"]}), json!({"images": [{"name": "r.io:5000/a/b", "newTag": "1"}]}))]
    #[case::rename(json!({}), json!({"images": ["a=b/c:2@sha256:0"]}), json!({"images": [{"name": "a", "newName": "b/c", "newTag": "2", "digest": "sha256:0"}]}))]
    #[case::port_without_tag(json!({}), json!({"images": ["a=r:5000/c"]}), json!({"images": [{"name": "a", "newName": "r:5000/c"}]}))]
    #[case::image_is_replaced(json!({"images": [{"name": "a", "newName": "z"}, {"name": "q"}]}), json!({"images": ["a:2"]}), json!({"images": [{"name": "a", "newTag": "2"}, {"name": "q"}]}))]
    #[case::tag_is_kept(json!({"images": [{"name": "a", "newTag": "7"}]}), json!({"images": ["a=b:*"]}), json!({"images": [{"name": "a", "newName": "b", "newTag": "7"}]}))]
    #[case::replicas(json!({"replicas": [{"name": "a", "count": 1}]}), json!({"replicas": [{"name": "a", "count": "3"}]}), json!({"replicas": [{"name": "a", "count": 3}]}))]
    #[case::labels(json!({"commonLabels": {"b": "1"}}), json!({"commonLabels": {"a": "$ARGOCD_APP_NAME"}}), json!({"commonLabels": {"a": "shop", "b": "1"}}))]
    #[case::forced_labels(json!({"commonLabels": {"a": "1"}}), json!({"commonLabels": {"a": "2"}, "forceCommonLabels": true}), json!({"commonLabels": {"a": "2"}}))]
    #[case::labels_alone(json!({}), json!({"commonLabels": {"a": "2"}, "labelWithoutSelector": true}), json!({"labels": [{"pairs": {"a": "2"}, "includeTemplates": false}]}))]
    #[case::labels_alike(json!({"labels": [{"pairs": {"b": "1"}, "includeSelectors": true}, {"pairs": {"c": "1"}, "fields": [{"path": "x"}]}]}), json!({"commonLabels": {"a": "2"}, "labelWithoutSelector": true}), json!({"labels": [{"pairs": {"b": "1"}, "includeSelectors": true}, {"pairs": {"a": "2", "c": "1"}, "fields": [{"path": "x"}]}]}))]
    #[case::annotations(json!({}), json!({"commonAnnotations": {"a": "$ARGOCD_APP_NAME"}}), json!({"commonAnnotations": {"a": "$ARGOCD_APP_NAME"}}))]
    #[case::components(json!({"components": ["x"]}), json!({"components": ["here", "gone"], "ignoreMissingComponents": true}), json!({"components": ["x", "here"]}))]
    #[case::known_component(json!({"components": ["x"]}), json!({"components": ["x", "y"]}), json!({"components": ["x", "y"]}))]
    #[case::image_of_old(json!({"imageTags": [{"name": "b", "newTag": "1"}]}), json!({"images": ["$ARGOCD_APP_NAME:2"]}), json!({"images": [{"name": "b", "newTag": "1"}, {"name": "shop", "newTag": "2"}]}))]
    #[case::patches(json!({}), json!({"patches": [{"patch": "p", "target": {"kind": "Pod"}}]}), json!({"patches": [{"patch": "p", "target": {"kind": "Pod"}}]}))]
    fn each_field_does_what_the_edit_command_does(
        #[case] file: Value,
        #[case] options: Value,
        #[case] expected: Value,
    ) {
        assert_eq!(apply_to(file, options), Ok(Some(expected)));
    }

    #[test]
    fn nothing_said_changes_nothing() {
        assert_eq!(apply_to(json!({"resources": ["a.yaml"]}), json!({"version": "v5"})), Ok(None));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |file, options| apply_to(file, options).expect_err("it does not fit").to_string();
        assert_eq!(error(json!([]), json!({"namespace": "x"})), "it is not a map");
        assert_eq!(error(json!({"images": 1}), json!({"images": ["a:1"]})), "its images cannot be added to");
        assert_eq!(
            error(json!({"commonLabels": {"a": "1"}}), json!({"commonLabels": {"a": "2"}})),
            "commonLabels has \"a\" already; forceCommonLabels would overwrite it"
        );
        assert_eq!(
            error(
                json!({"labels": [{"pairs": {"a": "1"}}]}),
                json!({"commonLabels": {"a": "2"}, "labelWithoutSelector": true})
            ),
            "labels has \"a\" already; forceCommonLabels would overwrite it"
        );
        assert_eq!(
            error(json!({}), json!({"commonLabels": {"a": "2"}, "labelIncludeTemplates": true})),
            "labelIncludeTemplates needs labelWithoutSelector"
        );
        assert_eq!(
            error(json!({}), json!({"images": ["a"]})),
            "the image \"a\" is not [old=]name[:tag][@digest]"
        );
        assert_eq!(
            error(json!({}), json!({"replicas": [{"name": "web", "count": "many"}]})),
            "the count of the replicas of \"web\" is not a whole number"
        );
    }
}
