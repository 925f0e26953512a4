//! Where a live object differs from what applying would make of it.
//!
//! What comes in: the live object and the API server's answer to a dry run, both complete and in one
//! version. What goes out: paths. Lists are taken apart where the API server wrote down what identifies
//! their items, and are one field otherwise.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    BOOKKEEPING, MOST_PATHS,
    field_set::{Element, FieldSet},
    managed,
    path::Path,
};

/// The paths at which two versions of an object differ, without status and bookkeeping; at most 20.
pub fn differences(live: &Value, applied: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    each_difference(live, applied, &mut |path, _, _| {
        if paths.len() < MOST_PATHS {
            paths.push(path.to_string());
        }
    });
    paths
}

/// Reports each place at which two versions of an object differ, with the value in either; null is absent.
pub(super) fn each_difference(live: &Value, applied: &Value, report: Report<'_>) {
    let sets: Vec<&FieldSet> =
        managed::entries(live).chain(managed::entries(applied)).filter_map(|entry| entry.fields).collect();
    let mut walk = Walk { found: 0, report };
    let metadata = Path::ROOT.field("metadata");
    let (one, other) = (&live["metadata"], &applied["metadata"]);
    walk.objects(&below(&sets, "f:metadata"), one, other, &metadata, BOOKKEEPING);
    walk.objects(&sets, live, applied, &Path::ROOT, &["metadata", "status"]);
}

/// What is told of a difference.
pub(super) type Report<'a> = &'a mut dyn FnMut(&Path<'_>, &Value, &Value);

struct Walk<'a> {
    found: usize,
    report: Report<'a>,
}

impl Walk<'_> {
    fn report(&mut self, path: &Path<'_>, one: &Value, other: &Value) {
        self.found += 1;
        (self.report)(path, one, other);
    }

    fn values(&mut self, sets: &[&FieldSet], one: &Value, other: &Value, path: &Path<'_>) {
        match (one, other) {
            (Value::Object(_), Value::Object(_)) => self.objects(sets, one, other, path, &[]),
            (Value::Array(_), Value::Array(_)) => self.lists(sets, one, other, path),
            _ => self.report(path, one, other),
        }
    }

    fn objects(&mut self, sets: &[&FieldSet], one: &Value, other: &Value, path: &Path<'_>, except: &[&str]) {
        let names = |value: &'_ Value| value.as_object().into_iter().flat_map(Map::keys).cloned().collect();
        let mut all: BTreeSet<String> = names(one);
        all.append(&mut names(other));
        for name in all.iter().filter(|name| !except.contains(&name.as_str())) {
            // An absent field reads as null here, which is what it means.
            let (one, other) = (&one[name.as_str()], &other[name.as_str()]);
            if one != other {
                self.values(&below(sets, &format!("f:{name}")), one, other, &path.field(name));
            }
        }
    }

    fn lists(&mut self, sets: &[&FieldSet], one: &Value, other: &Value, path: &Path<'_>) {
        let before = self.found;
        self.lists_by_item(sets, one, other, path);
        // The same items in another order, or no telling them apart.
        if self.found == before {
            self.report(path, one, other);
        }
    }

    fn lists_by_item(&mut self, sets: &[&FieldSet], one: &Value, other: &Value, path: &Path<'_>) {
        let (Some(one), Some(other)) = (one.as_array(), other.as_array()) else { return };
        let names = sets.iter().flat_map(|set| set.keys()).filter_map(|name| Element::parse(name));
        for element in names {
            match element {
                Element::Key(key) => {
                    let key: Vec<&str> = key.keys().map(String::as_str).collect();
                    if let (Some(one), Some(other)) = (keyed(one, &key), keyed(other, &key)) {
                        self.items(sets, &one, &other, path);
                    }
                    return;
                }
                Element::Value(_) => return self.sets(one, other, path),
                _ => {}
            }
        }
    }

    /// Lists whose items have a key.
    fn items(&mut self, sets: &[&FieldSet], one: &[Keyed<'_>], other: &[Keyed<'_>], path: &Path<'_>) {
        for (key, item) in one {
            let path = path.key(key);
            match other.iter().find(|(other, _)| other == key) {
                Some((_, other)) => self.values(&below_key(sets, key), item, other, &path),
                None => self.report(&path, item, &Value::Null),
            }
        }
        for (key, item) in other.iter().filter(|(key, _)| !one.iter().any(|(one, _)| one == key)) {
            self.report(&path.key(key), &Value::Null, item);
        }
    }

    /// Lists whose items are their own keys.
    fn sets(&mut self, one: &[Value], other: &[Value], path: &Path<'_>) {
        for item in one.iter().filter(|item| !other.contains(item)) {
            self.report(&path.value(item), item, &Value::Null);
        }
        for item in other.iter().filter(|item| !one.contains(item)) {
            self.report(&path.value(item), &Value::Null, item);
        }
    }
}

type Keyed<'a> = (Map<String, Value>, &'a Value);

/// The items of a list with their keys. None where two have the same, or one has none.
fn keyed<'a>(items: &'a [Value], key: &[&str]) -> Option<Vec<Keyed<'a>>> {
    let mut keyed: Vec<Keyed<'a>> = Vec::with_capacity(items.len());
    for item in items {
        let fields = key.iter().filter_map(|name| Some(((*name).to_owned(), item.get(name)?.clone())));
        let fields: Map<String, Value> = fields.collect();
        if fields.is_empty() || keyed.iter().any(|(known, _)| *known == fields) {
            return None;
        }
        keyed.push((fields, item));
    }
    Some(keyed)
}

fn below<'a>(sets: &[&'a FieldSet], name: &str) -> Vec<&'a FieldSet> {
    sets.iter().filter_map(|set| set.get(name)?.as_object()).collect()
}

fn below_key<'a>(sets: &[&'a FieldSet], key: &Map<String, Value>) -> Vec<&'a FieldSet> {
    let is_key = |name: &str| matches!(Element::parse(name), Some(Element::Key(found)) if found == *key);
    let entries = sets.iter().flat_map(|set| set.iter());
    entries.filter(|(name, _)| is_key(name)).filter_map(|(_, set)| set.as_object()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::judge::fixture;

    #[test]
    fn a_dry_run_tells_what_others_changed() {
        let web = ".spec.template.spec.containers[name=web]";
        let expected = [
            ".metadata.labels[\"app.kubernetes.io/name\"]",
            ".spec.replicas",
            &format!("{web}.args"),
            &format!("{web}.image"),
        ];
        assert_eq!(differences(&fixture::edited(), &fixture::applied()), expected);
    }

    #[test]
    fn no_more_paths_are_told_than_anybody_reads() {
        let object = |value: usize| {
            let data: Map<String, Value> = (0..30).map(|key| (format!("key-{key}"), json!(value))).collect();
            json!({"kind": "ConfigMap", "data": data})
        };
        assert_eq!(differences(&object(1), &object(2)).len(), MOST_PATHS);
    }

    #[test]
    fn an_object_does_not_differ_from_itself() {
        assert_eq!(differences(&fixture::edited(), &fixture::edited()), [""; 0]);
    }

    #[rstest]
    #[case("/metadata/managedFields", json!([]))]
    #[case("/metadata/resourceVersion", json!("1"))]
    #[case("/metadata/generation", json!(99))]
    #[case("/metadata/creationTimestamp", json!(null))]
    #[case("/metadata/uid", json!("other"))]
    #[case("/status", json!(null))]
    fn bookkeeping_and_status_do_not_differ(#[case] pointer: &str, #[case] value: Value) {
        let mut applied = fixture::live();
        fixture::set(&mut applied, pointer, value);
        assert_eq!(differences(&fixture::live(), &applied), [""; 0]);
    }

    #[rstest]
    #[case::value("/spec/replicas", json!(5), ".spec.replicas")]
    #[case::gone("/metadata/labels", json!(null), ".metadata.labels")]
    #[case::item("/spec/template/spec/containers/0/env/0/value", json!("x"), ".spec.template.spec.containers[name=web].env[name=LEVEL].value")]
    #[case::atomic("/spec/selector/matchLabels/app", json!("x"), ".spec.selector.matchLabels.app")]
    #[case::whole_list("/spec/template/spec/containers/0/args/0", json!("x"), ".spec.template.spec.containers[name=web].args")]
    #[case::two_keys("/spec/template/spec/containers/0/ports/0/name", json!("web"), ".spec.template.spec.containers[name=web].ports[containerPort=80,protocol=TCP].name")]
    #[case::item_gone("/spec/template/spec/volumes", json!([]), ".spec.template.spec.volumes[name=tmp]")]
    #[case::same_key_twice("/spec/template/spec/initContainers/0/name", json!("migrate"), ".spec.template.spec.initContainers")]
    #[case::other_type("/spec/template/spec", json!("x"), ".spec.template.spec")]
    fn differences_name_the_field(#[case] pointer: &str, #[case] value: Value, #[case] path: &str) {
        let mut applied = fixture::live();
        fixture::set(&mut applied, pointer, value);
        assert_eq!(differences(&fixture::live(), &applied), [path]);
    }

    #[test]
    fn lists_in_another_order_differ_as_a_whole() {
        let mut applied = fixture::live();
        let containers =
            applied.pointer_mut("/spec/template/spec/initContainers").and_then(Value::as_array_mut);
        containers.expect("a list").reverse();
        assert_eq!(differences(&fixture::live(), &applied), [".spec.template.spec.initContainers"]);
    }

    #[test]
    fn sets_differ_by_value() {
        let object = |finalizers: Value| {
            json!({"metadata": {
                "finalizers": finalizers,
                "managedFields": [{"fieldsV1": {"f:metadata": {"f:finalizers": {"v:\"a/b\"": {}}}}}],
            }})
        };
        let found = differences(&object(json!(["a/b", "c/d"])), &object(json!(["c/d", "e/f"])));
        assert_eq!(found, [".metadata.finalizers[=a/b]", ".metadata.finalizers[=e/f]"]);
        let found = differences(&object(json!(["a/b", "c/d"])), &object(json!(["c/d", "a/b"])));
        assert_eq!(found, [".metadata.finalizers"]);
    }
}
