//! A number that changes when an object changes in any way that could matter to Git.
//!
//! What comes in: a live object. What goes out: 64 bits that are compared within one process; they
//! are not promised to be the same in another build.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::BOOKKEEPING;

/// The hash of all of an object but its status and the API server's bookkeeping in its metadata.
pub fn fingerprint(live: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    let fields = live.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, _)| *name != "status") {
        name.hash(&mut hasher);
        match value {
            Value::Object(metadata) if name == "metadata" => {
                for (name, value) in metadata.iter().filter(|(name, _)| !BOOKKEEPING.contains(&name.as_str()))
                {
                    name.hash(&mut hasher);
                    feed(value, &mut hasher);
                }
                Mark::End.hash(&mut hasher);
            }
            _ => feed(value, &mut hasher),
        }
    }
    hasher.finish()
}

/// What stands before a value of each type, so that no two different values feed the same bytes.
#[derive(Hash)]
enum Mark {
    Null,
    Integer,
    Unsigned,
    Float,
    Text,
    List,
    Object,
    End,
}

fn feed(value: &Value, hasher: &mut impl Hasher) {
    match value {
        Value::Null => Mark::Null.hash(hasher),
        Value::Bool(value) => value.hash(hasher),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => (Mark::Integer, number).hash(hasher),
            (_, Some(number)) => (Mark::Unsigned, number).hash(hasher),
            _ => (Mark::Float, number.as_f64().map(f64::to_bits)).hash(hasher),
        },
        Value::String(text) => (Mark::Text, text).hash(hasher),
        Value::Array(items) => {
            (Mark::List, items.len()).hash(hasher);
            items.iter().for_each(|item| feed(item, hasher));
        }
        // The maps of serde_json are sorted, so equal objects feed equal bytes.
        Value::Object(fields) => {
            (Mark::Object, fields.len()).hash(hasher);
            for (name, value) in fields {
                name.hash(hasher);
                feed(value, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn config_map() -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "settings",
                "namespace": "shop",
                "uid": "0b5f1b7e-6a4e-4c11-9b7e-0a9b7f9d2c11",
                "resourceVersion": "401",
                "generation": 1,
                "creationTimestamp": "2026-11-25T01:00:00Z",
                "managedFields": [{"manager": "kubectl"}],
            },
            "data": {"a": "1"},
            "status": {"seen": true},
        })
    }

    #[rstest]
    #[case("/metadata/uid", json!("other"))]
    #[case("/metadata/resourceVersion", json!("402"))]
    #[case("/metadata/generation", json!(2))]
    #[case("/metadata/creationTimestamp", json!(null))]
    #[case("/metadata/managedFields", json!([]))]
    #[case("/status", json!({"seen": false}))]
    fn bookkeeping_does_not_count(#[case] pointer: &str, #[case] value: Value) {
        let mut changed = config_map();
        *changed.pointer_mut(pointer).expect("a field") = value;
        assert_eq!(fingerprint(&changed), fingerprint(&config_map()));
    }

    #[rstest]
    #[case("/metadata/name", json!("other"))]
    #[case("/data/a", json!("2"))]
    #[case("/data/a", json!(1))]
    #[case("/data/a", json!(null))]
    #[case("/data", json!({"a": "1", "b": ""}))]
    #[case("/data", json!(["a", "1"]))]
    #[case("/kind", json!("Secret"))]
    fn all_else_counts(#[case] pointer: &str, #[case] value: Value) {
        let mut changed = config_map();
        *changed.pointer_mut(pointer).expect("a field") = value;
        assert_ne!(fingerprint(&changed), fingerprint(&config_map()));
    }

    #[test]
    fn bookkeeping_of_pod_templates_counts() {
        let deployment = |uid: &str| json!({"spec": {"template": {"metadata": {"uid": uid}, "status": uid}}});
        assert_ne!(fingerprint(&deployment("a")), fingerprint(&deployment("b")));
    }

    #[test]
    fn what_is_no_object_has_a_fingerprint_too() {
        assert_eq!(fingerprint(&json!(null)), fingerprint(&json!([])));
    }
}
