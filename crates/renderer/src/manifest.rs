//! From documents to the objects of a bundle: lists are expanded, empty documents dropped, and every object has what the
//! API server needs to know where it belongs. It does not judge fields: that is the API server's work.

use ithaca_api::yaml::{self, YamlError};
use serde_json::{Map, Value};

/// Why a file's documents are no manifests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The text does not parse.
    #[error("failed to read {file}: {cause}")]
    Yaml {
        /// The file.
        file: String,
        /// Where and why.
        cause: YamlError,
    },
    /// The JSON does not parse.
    #[error("failed to read {file}: {reason}")]
    Json {
        /// The file.
        file: String,
        /// Where and why.
        reason: String,
    },
    /// A document that is no object of Kubernetes.
    #[error("failed to read document {document} of {file}: {reason}")]
    Object {
        /// The file.
        file: String,
        /// The document, counted from 1.
        document: usize,
        /// What is missing.
        reason: String,
    },
}

/// What was read of a text before it ended or went wrong.
pub struct Manifests {
    /// The objects, in order.
    pub objects: Vec<Value>,
    /// Why nothing follows.
    pub error: Option<ManifestError>,
}

/// The objects in a YAML text; `file` is what errors call the document of that number (from 1).
pub fn from_yaml<'a>(text: &str, file: impl Fn(usize) -> &'a str) -> Manifests {
    let mut objects = Vec::new();
    for (index, document) in yaml::documents(text).enumerate() {
        let document_number = index + 1;
        let file = || file(document_number).to_owned();
        let failed = match document {
            Ok(value) => expand(value, &mut objects).map_err(|reason| ManifestError::Object {
                file: file(),
                document: document_number,
                reason,
            }),
            Err(cause) => Err(ManifestError::Yaml { file: file(), cause }),
        };
        if let Err(error) = failed {
            return Manifests { objects, error: Some(error) };
        }
    }
    Manifests { objects, error: None }
}

/// The object, or the list of objects, in a JSON text.
///
/// # Errors
/// When the text is not one object of Kubernetes or a list of such.
pub fn from_json(text: &[u8], file: &str) -> Result<Vec<Value>, ManifestError> {
    objects(text, file, |value| vec![value])
}

/// The objects in a JSON text that may hold arrays of them, as programs give it.
///
/// # Errors
/// When the text holds anything but objects of Kubernetes and lists of such.
pub fn from_json_arrays(text: &[u8], file: &str) -> Result<Vec<Value>, ManifestError> {
    objects(text, file, flattened)
}

/// What stands in arrays, in order.
fn flattened(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.into_iter().flat_map(flattened).collect(),
        other => vec![other],
    }
}

fn objects(
    text: &[u8],
    file: &str,
    parts: impl Fn(Value) -> Vec<Value>,
) -> Result<Vec<Value>, ManifestError> {
    let failed = |reason: String| ManifestError::Json { file: file.to_owned(), reason };
    let mut value: Value = serde_json::from_slice(text).map_err(|error| failed(error.to_string()))?;
    if yaml::depth(&value) > yaml::MAX_DEPTH {
        return Err(failed(format!("values are nested more than {} levels deep", yaml::MAX_DEPTH)));
    }
    whole_numbers(&mut value);
    let mut objects = Vec::new();
    for (index, part) in parts(value).into_iter().enumerate() {
        expand(part, &mut objects).map_err(|reason| ManifestError::Object {
            file: file.to_owned(),
            document: index + 1,
            reason,
        })?;
    }
    Ok(objects)
}

/// Adds the object, or the objects of the list, that `value` is.
fn expand(value: Value, objects: &mut Vec<Value>) -> Result<(), String> {
    let mut map = match value {
        Value::Null => return Ok(()),
        Value::Object(map) => map,
        _ => return Err("it is not an object".to_owned()),
    };
    let kind = text(&map, "kind").ok_or_else(|| missing(&map, "kind"))?.to_owned();
    if text(&map, "apiVersion").is_none() {
        return Err(missing(&map, "apiVersion"));
    }
    if kind.ends_with("List") {
        match map.get_mut("items").map(Value::take) {
            Some(Value::Null) => return Ok(()),
            Some(Value::Array(items)) => return items.into_iter().try_for_each(|item| expand(item, objects)),
            Some(_) => return Err(format!("the items of the {kind} are not a list")),
            None => {}
        }
    }
    let named = map
        .get("metadata")
        .and_then(Value::as_object)
        .is_some_and(|metadata| text(metadata, "name").is_some() || text(metadata, "generateName").is_some());
    if !named {
        let not_text = map.get("metadata").and_then(|metadata| metadata.get("name")).is_some();
        let reason = if not_text { "a metadata.name that is not a text" } else { "no metadata.name" };
        return Err(format!("the {kind} has {reason}"));
    }
    objects.push(Value::Object(map));
    Ok(())
}

/// Names the object by what it does have.
fn missing(map: &Map<String, Value>, field: &str) -> String {
    let name = map.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    match (name, text(map, "kind").or_else(|| text(map, "apiVersion"))) {
        (Some(name), Some(kind)) => format!("the object \"{name}\" ({kind}) has no {field}"),
        (Some(name), None) => format!("the object \"{name}\" has no {field}"),
        (None, Some(kind)) => format!("an object ({kind}) has no {field}"),
        (None, None) => format!("it has no {field}"),
    }
}

fn text<'a>(map: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    map.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// `1.0` is `1` to every reader of Kubernetes JSON.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(whole) = number.as_f64().and_then(yaml::number) {
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn names(objects: &[Value]) -> Vec<&str> {
        objects.iter().filter_map(|object| object["metadata"]["name"].as_str()).collect()
    }

    #[test]
    fn lists_are_expanded_and_empty_documents_dropped() {
        let text = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
- apiVersion: v1
  kind: ConfigMapList
  items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}]
---
# nothing
---
{apiVersion: v1, kind: PodList, items: null}
---
{apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}}
---
{apiVersion: x/v1, kind: AllowList, metadata: {name: d}}
";
        let read = from_yaml(text, |_| "x.yaml");
        assert_eq!(read.error, None);
        assert_eq!(read.objects.len(), 4);
        assert_eq!(names(&read.objects), ["a", "b", "d"]);
    }

    #[rstest]
    #[case("apiVersion: v1\nmetadata: {name: a}", "the object \"a\" (v1) has no kind")]
    #[case("kind: Pod\nmetadata: {name: a}", "the object \"a\" (Pod) has no apiVersion")]
    #[case("a: 1", "it has no kind")]
    #[case("apiVersion: v1\nkind: Pod", "the Pod has no metadata.name")]
    #[case(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: y}",
        "the Pod has a metadata.name that is not a text"
    )]
    #[case("[1]", "it is not an object")]
    #[case("apiVersion: v1\nkind: PodList\nitems: 1", "the items of the PodList are not a list")]
    fn what_is_no_object_is_named(#[case] text: &str, #[case] reason: &str) {
        let text = format!("---\n{{apiVersion: v1, kind: Pod, metadata: {{name: ok}}}}\n---\n{text}\n");
        let read = from_yaml(&text, |_| "x.yaml");
        assert_eq!(names(&read.objects), ["ok"]);
        let error = read.error.expect("an error").to_string();
        assert_eq!(error, format!("failed to read document 2 of x.yaml: {reason}"));
    }

    #[test]
    fn json_holds_one_object_or_a_list() {
        let read = from_json(
            br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"n":1.0,"m":1.5}"#,
            "a.json",
        );
        let read = read.expect("an object");
        assert_eq!(read[0]["n"].to_string(), "1");
        assert_eq!(read[0]["m"].to_string(), "1.5");
        let arrays = br#"[[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"}}], [], null,
            {"apiVersion":"v1","kind":"PodList","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}]}]"#;
        assert_eq!(names(&from_json_arrays(arrays, "a.jsonnet").expect("objects")), ["b", "c"]);
        assert!(from_json(arrays, "a.json").is_err());
        let error = from_json(b"{\n\"a\": }", "a.json").expect_err("not JSON").to_string();
        assert!(error.starts_with("failed to read a.json: ") && error.contains("line 2"), "{error}");
    }
}
