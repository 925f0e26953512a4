//! `spec.source.kustomize` over a kustomization: the file's content comes in, the changed content goes out.
//! Each field does what `kustomize edit` would do; the file itself is not touched here.

use std::collections::BTreeMap;

use ithaca_api::source::{Kustomize, KustomizePatch};
use serde_json::{Map, Value, json};

use crate::environment::Environment;

/// What a part of an image is called that stays as the kustomization has it.
const KEEP: &str = "*";

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
        /// commonLabels or commonAnnotations.
        field: &'static str,
        /// The label's or annotation's name.
        key: String,
        /// The field that allows it.
        force: &'static str,
    },
    /// A count that is no number.
    #[error("the count of the replicas of \"{0}\" is not a whole number")]
    Count(String),
}

/// The kustomization with all overrides, or none where there are none.
///
/// # Errors
/// When an override does not fit what is there.
pub fn apply(
    kustomization: Value,
    options: &Kustomize,
    environment: &Environment,
    exists: impl Fn(&str) -> bool,
) -> Result<Option<Value>, OverrideError> {
    let mut file = match kustomization {
        Value::Null => Map::new(),
        Value::Object(file) => file,
        _ => return Err(OverrideError::NotAMap),
    };
    let before = file.clone();
    let texts = [
        ("namePrefix", &options.name_prefix),
        ("nameSuffix", &options.name_suffix),
        ("namespace", &options.namespace),
    ];
    for (field, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        file.insert(field.to_owned(), json!(environment.expand(value)));
    }
    images(&mut file, options)?;
    replicas(&mut file, options)?;
    labels(&mut file, options, environment)?;
    annotations(&mut file, options, environment)?;
    let present = |component: &&String| !options.ignore_missing_components || exists(component);
    let components = options.components.iter().filter(present).map(|component| json!(component));
    list(&mut file, "components")?.extend(components);
    list(&mut file, "patches")?.extend(options.patches.iter().map(patch));
    file.retain(|field, value| before.contains_key(field) || *value != json!([]) && *value != json!({}));
    Ok((file != before).then_some(Value::Object(file)))
}

fn images(file: &mut Map<String, Value>, options: &Kustomize) -> Result<(), OverrideError> {
    let images = list(file, "images")?;
    for image in options.images.iter().map(|image| Image::parse(image)) {
        let old = take_named(images, image.name);
        images.push(image.merged(old.as_ref()));
    }
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
    if options.label_without_selector {
        let label = json!({
            "pairs": labels,
            "includeSelectors": false,
            "includeTemplates": options.label_include_templates,
        });
        list(file, "labels")?.push(label);
        return Ok(());
    }
    add(file, "commonLabels", labels, options.force_common_labels, "forceCommonLabels")
}

fn annotations(
    file: &mut Map<String, Value>,
    options: &Kustomize,
    environment: &Environment,
) -> Result<(), OverrideError> {
    let environment = options.common_annotations_envsubst.then_some(environment);
    let annotations = expanded(&options.common_annotations, environment);
    let force = options.force_common_annotations;
    add(file, "commonAnnotations", annotations, force, "forceCommonAnnotations")
}

fn expanded(
    values: &BTreeMap<String, String>,
    environment: Option<&Environment>,
) -> BTreeMap<String, String> {
    let expand = |value: &String| environment.map_or_else(|| value.clone(), |known| known.expand(value));
    values.iter().map(|(key, value)| (key.clone(), expand(value))).collect()
}

fn add(
    file: &mut Map<String, Value>,
    field: &'static str,
    values: BTreeMap<String, String>,
    force: bool,
    force_field: &'static str,
) -> Result<(), OverrideError> {
    let known = file.entry(field).or_insert_with(|| json!({}));
    if known.is_null() {
        *known = json!({});
    }
    let known = known.as_object_mut().ok_or(OverrideError::Shape(field))?;
    for (key, value) in values {
        if known.contains_key(&key) && !force {
            return Err(OverrideError::Exists { field, key, force: force_field });
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

/// `[name=]newName[:tag][@digest]`.
struct Image<'a> {
    name: &'a str,
    new_name: &'a str,
    tag: &'a str,
    digest: &'a str,
}

impl<'a> Image<'a> {
    fn parse(text: &'a str) -> Self {
        let (name, image) = match text.split_once('=') {
            Some((name, image)) => (Some(name), image),
            None => (None, text),
        };
        let (image, digest) = image.split_once('@').unwrap_or((image, ""));
        // A colon before the last slash belongs to the registry's port.
        let start = image.rfind('/').unwrap_or(0);
        let (image, tag) = match image[start..].rfind(':') {
            Some(colon) => (&image[..start + colon], &image[start + colon + 1..]),
            None => (image, ""),
        };
        match name {
            Some(name) => Self { name, new_name: image, tag, digest },
            None => Self { name: image, new_name: "", tag, digest },
        }
    }

    fn merged(&self, old: Option<&Value>) -> Value {
        let mut image = json!({"name": self.name});
        let parts = [("newName", self.new_name), ("newTag", self.tag), ("digest", self.digest)];
        for (field, part) in parts {
            if part == KEEP {
                if let Some(kept) = old.map(|old| &old[field]).filter(|kept| !kept.is_null()) {
                    image[field] = kept.clone();
                }
            } else if !part.is_empty() {
                image[field] = json!(part);
            }
        }
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::SourceRequest;
    use rstest::rstest;

    fn apply_to(file: Value, options: Value) -> Result<Option<Value>, OverrideError> {
        let options: Kustomize = serde_json::from_value(options).expect("options");
        let environment = Environment::new("shop", "default", &SourceRequest::default());
        apply(file, &options, &environment, |component| component == "here")
    }

    #[rstest]
    #[case::prefix_is_replaced(json!({"namePrefix": "a-"}), json!({"namePrefix": "b-"}), json!({"namePrefix": "b-"}))]
    #[case::namespace(json!({}), json!({"namespace": "x"}), json!({"namespace": "x"}))]
    #[case::tag(json!({}), json!({"images": ["r.io:5000/a/b:1"]}), json!({"images": [{"name": "r.io:5000/a/b", "newTag": "1"}]}))]
    #[case::rename(json!({}), json!({"images": ["a=b/c:2@sha256:0"]}), json!({"images": [{"name": "a", "newName": "b/c", "newTag": "2", "digest": "sha256:0"}]}))]
    #[case::port_without_tag(json!({}), json!({"images": ["a=r:5000/c"]}), json!({"images": [{"name": "a", "newName": "r:5000/c"}]}))]
    #[case::image_is_replaced(json!({"images": [{"name": "a", "newName": "z"}, {"name": "q"}]}), json!({"images": ["a:2"]}), json!({"images": [{"name": "q"}, {"name": "a", "newTag": "2"}]}))]
    #[case::tag_is_kept(json!({"images": [{"name": "a", "newTag": "7"}]}), json!({"images": ["a=b:*"]}), json!({"images": [{"name": "a", "newName": "b", "newTag": "7"}]}))]
    #[case::replicas(json!({"replicas": [{"name": "a", "count": 1}]}), json!({"replicas": [{"name": "a", "count": "3"}]}), json!({"replicas": [{"name": "a", "count": 3}]}))]
    #[case::labels(json!({"commonLabels": {"b": "1"}}), json!({"commonLabels": {"a": "$ARGOCD_APP_NAME"}}), json!({"commonLabels": {"a": "shop", "b": "1"}}))]
    #[case::forced_labels(json!({"commonLabels": {"a": "1"}}), json!({"commonLabels": {"a": "2"}, "forceCommonLabels": true}), json!({"commonLabels": {"a": "2"}}))]
    #[case::labels_alone(json!({}), json!({"commonLabels": {"a": "2"}, "labelWithoutSelector": true}), json!({"labels": [{"pairs": {"a": "2"}, "includeSelectors": false, "includeTemplates": false}]}))]
    #[case::annotations(json!({}), json!({"commonAnnotations": {"a": "$ARGOCD_APP_NAME"}}), json!({"commonAnnotations": {"a": "$ARGOCD_APP_NAME"}}))]
    #[case::components(json!({"components": ["x"]}), json!({"components": ["here", "gone"], "ignoreMissingComponents": true}), json!({"components": ["x", "here"]}))]
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
            error(json!({}), json!({"replicas": [{"name": "web", "count": "many"}]})),
            "the count of the replicas of \"web\" is not a whole number"
        );
    }
}
