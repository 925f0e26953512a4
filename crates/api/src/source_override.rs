//! Files in a source's own folder that say more of the source than its Application does: `.argocd-source.yaml` for every
//! Application, `.argocd-source-NAME.yaml` for one.
//!
//! A source and such a file's text come in, the source that is to be rendered goes out. Who reads the files, and which
//! revision of them, is decided elsewhere.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::schema;
use crate::source::ApplicationSource;
use crate::yaml;

/// The fields that say where a source is. A file in it cannot move it.
const PLACE: [&str; 7] = ["repoURL", "path", "targetRevision", "chart", "ref", "name", "tagPrefix"];

/// The names of a source's fields.
static FIELDS: LazyLock<Value> = LazyLock::new(schema::structural::<ApplicationSource>);

/// Why a file says nothing that could be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {file}: {reason}")]
pub struct Unreadable {
    /// The file's path in the repository.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The names of the files for an Application, in the order in which they are followed.
/// `application` is its name as [`crate::tracking::instance_name`] has it.
pub fn file_names(application: &str) -> [String; 2] {
    [".argocd-source.yaml".to_owned(), format!(".argocd-source-{application}.yaml")]
}

/// `source` with what a file says over it: a JSON merge patch in YAML. Fields are known by their names in any case of
/// letters, since Argo CD's clients write them so.
///
/// # Errors
/// When the file is no YAML, or what it says does not fit a source.
pub fn merge(source: &ApplicationSource, file: &str, text: &[u8]) -> Result<ApplicationSource, Unreadable> {
    let unreadable = |reason: String| Unreadable { file: file.to_owned(), reason };
    let text = std::str::from_utf8(text).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    let document = yaml::documents(text).next().transpose();
    let document = document.map_err(|error| unreadable(error.to_string()))?.unwrap_or_default();
    let mut patch = match with_known_names(document, &FIELDS) {
        Value::Null => return Ok(source.clone()),
        Value::Object(patch) => patch,
        _ => return Err(unreadable("it holds no map of a source's fields".to_owned())),
    };
    if patch.get("sops").is_some_and(Value::is_object) {
        return Err(unreadable(
            "it is encrypted, but it is read as it is: put secrets into a value file".to_owned(),
        ));
    }
    patch.retain(|field, _| !PLACE.contains(&field.as_str()));
    let mut merged = serde_json::to_value(source).map_err(|error| unreadable(error.to_string()))?;
    json_patch::merge(&mut merged, &Value::Object(patch));
    serde_json::from_value(merged).map_err(|error| unreadable(error.to_string()))
}

/// The same value with the fields' names as `schema` has them.
fn with_known_names(value: Value, schema: &Value) -> Value {
    match value {
        Value::Object(fields) => match schema["properties"].as_object() {
            Some(known) => {
                Value::Object(fields.into_iter().map(|field| with_known_name(field, known)).collect())
            }
            None => Value::Object(fields),
        },
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| with_known_names(item, &schema["items"])).collect())
        }
        other => other,
    }
}

fn with_known_name((name, value): (String, Value), known: &Map<String, Value>) -> (String, Value) {
    let found = known.get_key_value(&name);
    match found.or_else(|| known.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name))) {
        Some((known, schema)) => (known.clone(), with_known_names(value, schema)),
        None => (name, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(source: Value, text: &str) -> Result<Value, String> {
        let source = serde_json::from_value(source).expect("a source");
        let merged = merge(&source, "app/.argocd-source.yaml", text.as_bytes());
        merged.map(|source| json!(source)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_for_all_comes_before_the_one_of_the_application() {
        assert_eq!(file_names("team_web"), [".argocd-source.yaml", ".argocd-source-team_web.yaml"]);
    }

    #[test]
    fn maps_are_merged_and_lists_replaced() {
        let source = json!({"repoURL": "r", "path": "p", "helm": {
            "releaseName": "a", "valueFiles": ["a.yaml", "b.yaml"],
            "valuesObject": {"x": {"one": 1, "two": 2}}}});
        let text =
            "helm:\n  valueFiles: [c.yaml]\n  valuesObject: {x: {two: null, three: 3}, valueFiles: y}\n";
        let expected = json!({"repoURL": "r", "path": "p", "helm": {
            "releaseName": "a", "valueFiles": ["c.yaml"],
            "valuesObject": {"x": {"one": 1, "three": 3}, "valueFiles": true}}});
        assert_eq!(merged(source, text), Ok(expected));
    }

    #[test]
    fn a_field_may_be_taken_away() {
        let source = json!({"repoURL": "r", "path": "p", "helm": {"releaseName": "a"}});
        assert_eq!(
            merged(source.clone(), "helm: null\nkustomize: {namePrefix: a-}"),
            Ok(json!({"repoURL": "r", "path": "p", "kustomize": {"namePrefix": "a-"}}))
        );
        assert_eq!(merged(source.clone(), ""), Ok(source.clone()));
        assert_eq!(merged(source.clone(), "# nothing\n"), Ok(source));
    }

    #[test]
    fn names_are_known_in_any_case_of_letters() {
        let source = json!({"repoURL": "r", "path": "p"});
        let text = "helm:\n  parameters:\n  - {name: image.tag, value: v2, forcestring: true}\n  ValuesObject: {Name: x}\n";
        let expected = json!({"repoURL": "r", "path": "p", "helm": {
            "parameters": [{"name": "image.tag", "value": "v2", "forceString": true}],
            "valuesObject": {"Name": "x"}}});
        assert_eq!(merged(source, text), Ok(expected));
    }

    #[test]
    fn a_source_cannot_be_moved() {
        let source = json!({"repoURL": "r", "path": "p", "targetRevision": "main", "ref": "a", "name": "n", "tagPrefix": "v"});
        let text = "{repoURL: https://x, RepoURL: https://x, path: ../q, targetRevision: null, chart: c, ref: b, name: m, tagPrefix: w}";
        assert_eq!(merged(source.clone(), text), Ok(source));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let source = json!({"repoURL": "r", "path": "p"});
        for (text, reason) in [
            ("helm: [", "failed to read app/.argocd-source.yaml: line"),
            ("- helm", "it holds no map of a source's fields"),
            ("helm: {parameters: [{name: a, value: 1}]}", "invalid type: integer `1`, expected a string"),
            ("directory: {recurse: 'yes'}", "expected a boolean"),
            ("helm: {releaseName: 'ENC[AES256_GCM,data:x]'}\nsops: {mac: x}", "it is encrypted"),
        ] {
            let error = merged(source.clone(), text).expect_err(text);
            assert!(error.contains(reason), "{error}");
        }
        assert!(merge(&ApplicationSource::default(), "f", b"\xff").is_err());
        assert!(merged(source, "directory: {recurse: yes}").is_ok());
    }
}
