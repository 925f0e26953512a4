//! Differences as people look at them: each field with what is live, what applying would make of it, and who wrote it.
//!
//! What comes in: the live object, the API server's answer to a dry run, and the rules for what does not count. What
//! goes out: texts. The values of Secrets never go out, nor do those of annotations that the installation names.

use ithaca_api::annotation::{FIELD_MANAGER, LAST_APPLIED};
use serde_json::Value;

use super::{Author, Ignored, attribute, attribution::is_within, differences::each_difference};
use crate::object::ObjectKey;

/// The most fields of one object that are shown.
const MOST_FIELDS: usize = 200;

/// Bytes of a value that are shown.
const MOST_TEXT: usize = 4 << 10;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Where it is.
    pub path: String,
    /// As JSON; empty where it is absent or kept secret.
    pub live: String,
    /// As `live`.
    pub wanted: String,
    /// The values are kept secret.
    pub masked: bool,
    /// The difference does not count.
    pub ignored: bool,
    /// Who wrote what is live.
    pub author: Option<Author>,
}

/// The fields that differ, ignored ones too, and whether there are more. `sensitive` names annotations that are not shown. None where a rule cannot be followed.
pub fn show(
    key: &ObjectKey,
    live: &Value,
    applied: &Value,
    ignored: Option<&Ignored>,
    sensitive: &[String],
) -> Option<(Vec<Shown>, bool)> {
    let counted = counted(key, live, applied, ignored)?;
    let mut fields = Vec::new();
    let mut truncated = false;
    each_difference(live, applied, &mut |path, live_value, wanted| {
        if fields.len() == MOST_FIELDS {
            truncated = true;
            return;
        }
        let path = path.to_string();
        let masked = is_secret(key, &path) || is_sensitive(&path, [live_value, wanted], sensitive);
        let told = |value: &Value| if masked { String::new() } else { text(value) };
        let ignored =
            counted.as_ref().is_some_and(|counted| !counted.iter().any(|one| is_within(one, &path)));
        let author = attribute(live, std::slice::from_ref(&path), FIELD_MANAGER);
        fields.push(Shown { live: told(live_value), wanted: told(wanted), path, masked, ignored, author });
    });
    Some((fields, truncated))
}

/// The paths of the differences that count; the inner None: all do.
fn counted(
    key: &ObjectKey,
    live: &Value,
    applied: &Value,
    ignored: Option<&Ignored>,
) -> Option<Option<Vec<String>>> {
    let Some(ignored) = ignored else { return Some(None) };
    let without = |object| ignored.without(key, object, live, true);
    let (one, other) = (without(live)?, without(applied)?);
    let mut paths = Vec::new();
    each_difference(&one, &other, &mut |path, _, _| paths.push(path.to_string()));
    Some(Some(paths))
}

/// Whether a field may hold what a Secret keeps. Of its metadata that is what kubectl wrote down of it.
fn is_secret(key: &ObjectKey, path: &str) -> bool {
    let is_plain = path == ".type"
        || path == ".immutable"
        || is_within(path, ".metadata") && !path.contains(LAST_APPLIED) && path != ".metadata.annotations";
    key.group.is_empty() && &*key.kind == "Secret" && !is_plain
}

/// Whether a field would show one of these annotations: by itself, among all, or in what kubectl wrote down.
fn is_sensitive(path: &str, values: [&Value; 2], annotations: &[String]) -> bool {
    let shows = |name: &String| {
        path.contains(name.as_str()) || values.iter().any(|value| value.to_string().contains(name.as_str()))
    };
    is_within(path, ".metadata.annotations") && annotations.iter().any(shows)
}

fn text(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let mut text = value.to_string();
    if text.len() > MOST_TEXT {
        let end = (0..=MOST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use ithaca_api::sync_policy::IgnoreDifference;
    use serde_json::json;

    use super::*;
    use crate::judge::fixture;

    #[test]
    fn each_field_is_told_with_both_values_and_its_author() {
        let key = ObjectKey::new("apps", "Deployment", "shop", "web");
        let rule = IgnoreDifference {
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
            json_pointers: vec!["/spec/replicas".to_owned()],
            ..IgnoreDifference::default()
        };
        let ignored = Ignored::compile(&[rule], &[], false);
        let shown = show(&key, &fixture::edited(), &fixture::applied(), ignored.as_ref(), &[]);
        let (fields, truncated) = shown.expect("a rule that is followed");
        assert!(!truncated);
        let replicas = fields.iter().find(|field| field.path == ".spec.replicas").expect("it differs");
        assert_eq!((replicas.live.as_str(), replicas.ignored, replicas.masked), ("3", true, false));
        assert_eq!(replicas.author.as_ref().map(|author| author.manager.as_str()), Some("kubectl"));
        let image = fields.iter().find(|field| field.path.ends_with(".image")).expect("it differs");
        assert_eq!((image.live.as_str(), image.ignored), ("\"nginx:1.28\"", false));
        assert_ne!(image.live, image.wanted);
    }

    #[test]
    fn no_value_of_a_secret_is_told() {
        let key = ObjectKey::new("", "Secret", "shop", "keys");
        let secret = |value: &str| {
            json!({"kind": "Secret", "type": value, "data": {"password": value, value: value}, "stringData": value,
                "metadata": {"labels": {"a": value}, "annotations": {LAST_APPLIED: value}}})
        };
        let shown = show(&key, &secret("c2VjcmV0"), &secret("b3RoZXI="), None, &[]);
        let (fields, _) = shown.expect("there is no rule");
        assert_eq!(fields.len(), 7);
        for field in fields {
            let is_plain = field.path == ".type" || field.path.starts_with(".metadata.labels");
            assert_eq!(field.masked, !is_plain, "{}", field.path);
            assert_eq!(field.live.is_empty() && field.wanted.is_empty(), !is_plain, "{}", field.path);
        }
    }

    #[test]
    fn no_annotation_that_is_named_is_told() {
        let key = ObjectKey::new("", "ConfigMap", "shop", "settings");
        let sensitive = ["example.org/token".to_owned()];
        let object = |value: &str| {
            let applied = json!({"metadata": {"annotations": {"example.org/token": value}}}).to_string();
            json!({"data": {"a": value}, "metadata": {"annotations": {
                "example.org/token": value, "example.org/plain": value, LAST_APPLIED: applied}}})
        };
        let others = [object("other"), json!({"metadata": {}})];
        for other in others {
            let shown = show(&key, &object("secret"), &other, None, &sensitive);
            let (fields, _) = shown.expect("there is no rule");
            for field in fields {
                let is_plain = field.path.contains("plain") || field.path.starts_with(".data");
                assert_eq!(field.masked, !is_plain, "{}", field.path);
                assert_eq!(field.live.is_empty(), !is_plain, "{}", field.path);
            }
        }
    }

    #[test]
    fn long_values_are_cut_between_letters() {
        let long = text(&json!("ä".repeat(MOST_TEXT)));
        assert!(long.len() < MOST_TEXT + 8 && long.ends_with('…'));
        assert_eq!(text(&Value::Null), "");
    }
}
