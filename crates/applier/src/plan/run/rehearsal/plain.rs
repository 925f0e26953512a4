//! Objects that can be known to be right without asking: the small kinds that large applications have many of.
//!
//! What comes in: an object as Git wants it. What goes out: whether the API server has nothing to say against it in
//! itself. Whatever is not surely so is for the API server to say.
//! Source of the rules: Kubernetes' documents on ConfigMaps, Secrets, names, labels and annotations.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::Value;

use crate::desired::Desired;

/// Bytes of JSON of an object that is within every limit.
const SMALL: usize = 200_000;

/// Whether nothing can be wrong with it.
pub fn is_plain(desired: &Desired) -> bool {
    let json = desired.json.get();
    if !desired.key.group.is_empty() || json.len() > SMALL {
        return false;
    }
    let is_read = match &*desired.key.kind {
        "ConfigMap" => serde_json::from_str::<ConfigMap>(json).is_ok_and(|config_map| {
            let names = config_map.data.iter().flat_map(|data| data.keys());
            names.chain(config_map.binary_data.iter().flat_map(|data| data.keys())).all(|key| is_key(key))
        }),
        "Secret" => serde_json::from_str::<Secret>(json).is_ok_and(|secret| {
            let names = secret.data.iter().flat_map(|data| data.keys());
            let mut names = names.chain(secret.string_data.iter().flat_map(|data| data.keys()));
            names.all(|key| is_key(key)) && secret.type_.is_none_or(|type_| type_ == "Opaque")
        }),
        _ => false,
    };
    is_read && desired.as_value().is_some_and(|object| is_plainly_named(&object))
}

fn is_plainly_named(object: &Value) -> bool {
    let Some(metadata) = object["metadata"].as_object() else { return false };
    metadata.iter().all(|(field, value)| match (field.as_str(), value) {
        ("name" | "namespace", Value::String(name)) => is_dns_label(name),
        ("labels", Value::Object(labels)) => labels.iter().all(|(name, value)| {
            is_qualified(name) && value.as_str().is_some_and(|value| value.is_empty() || is_word(value))
        }),
        ("annotations", Value::Object(annotations)) => {
            annotations.iter().all(|(name, value)| is_qualified(name) && value.is_string())
        }
        _ => false,
    })
}

/// Stricter than names have to be: 63 lower-case letters, digits and dashes.
fn is_dns_label(name: &str) -> bool {
    is_word(name) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The name of a label or an annotation, with or without a domain.
fn is_qualified(name: &str) -> bool {
    match name.split_once('/') {
        Some((domain, name)) => is_word(name) && domain.len() < 253 && domain.split('.').all(is_dns_label),
        None => is_word(name),
    }
}

/// Letters, digits, dashes, dots and underscores, no more than 63, the first and last a letter or digit.
fn is_word(text: &str) -> bool {
    let ends = [text.chars().next(), text.chars().next_back()];
    text.len() <= 63
        && ends.iter().all(|end| end.is_some_and(|c| c.is_ascii_alphanumeric()))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_key(key: &str) -> bool {
    key.len() <= 253
        && !key.starts_with('.')
        && !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::{Owner, assemble};

    fn is_plain_with(kind: &str, rest: Value) -> bool {
        let mut manifest = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "settings", "labels": {"app": "web"}}});
        for (pointer, value) in rest.as_object().into_iter().flatten() {
            let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
            manifest.pointer_mut(parent).expect("a parent")[field] = value.clone();
        }
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let assembly = assemble(vec![manifest], &owner, &|_| Some(true));
        assembly.objects.first().is_some_and(|desired| is_plain(desired))
    }

    #[test]
    fn what_is_surely_right_is_plain_and_nothing_else() {
        assert!(is_plain_with("ConfigMap", json!({"/data": {"app.conf": "a = 1"}})));
        assert!(is_plain_with("Secret", json!({"/data": {"password": "c2VjcmV0"}, "/type": "Opaque"})));
        let doubtful = [
            ("ConfigMap", json!({"/data": {"port": 8080}})),
            ("ConfigMap", json!({"/data": {"a/b": "x"}})),
            ("ConfigMap", json!({"/metadata/name": "Settings"})),
            ("ConfigMap", json!({"/metadata/labels": {"app": "a b"}})),
            ("ConfigMap", json!({"/metadata/annotations": {"a/b/c": "x"}})),
            ("ConfigMap", json!({"/metadata/finalizers": ["x"]})),
            ("ConfigMap", json!({"/data": {"large": "x".repeat(SMALL)}})),
            ("Secret", json!({"/data": {"password": "not base64!"}})),
            ("Secret", json!({"/type": "kubernetes.io/tls"})),
            ("Service", json!({"/spec": {}})),
        ];
        for (kind, rest) in doubtful {
            assert!(!is_plain_with(kind, rest.clone()), "{kind} {rest}");
        }
    }
}
