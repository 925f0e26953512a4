//! Sets of fields, in the form in which Kubernetes stores who owns what (FieldsV1): a tree of objects
//! whose names are `f:` and a field, `k:` and a list item's key fields as JSON, `v:` and a list item's
//! value as JSON, `i:` and a list item's place, or `.` for the parent itself. A leaf is an empty object.

use serde_json::{Map, Value};

/// A set of fields, or the part of one below a field.
pub(super) type FieldSet = Map<String, Value>;

/// One name in a set.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Element<'a> {
    /// The parent of this level.
    Itself,
    /// A field of an object.
    Field(&'a str),
    /// The list item with these fields.
    Key(Map<String, Value>),
    /// The list item that is this value.
    Value(Value),
    /// The list item at this place, from 0.
    Index(usize),
}

impl<'a> Element<'a> {
    /// Reads a name. None where it is of no known form.
    pub fn parse(name: &'a str) -> Option<Self> {
        if name == "." {
            return Some(Self::Itself);
        }
        let (form, rest) = name.split_once(':')?;
        match form {
            "f" => Some(Self::Field(rest)),
            "k" => serde_json::from_str(rest).ok().map(Self::Key),
            "v" => serde_json::from_str(rest).ok().map(Self::Value),
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }
}

/// The place of the one item that has these key fields. A key field that the item leaves out fits any
/// value, because the API may default it; of several items that fit, the one that says most is meant.
/// None where there is no such item, or no telling which.
pub(super) fn find_item(items: &[Value], key: &Map<String, Value>) -> Option<usize> {
    let mut best = None;
    let mut most = 0;
    for (place, item) in items.iter().enumerate() {
        let Some(said) = fit(item, key).filter(|said| *said > 0 && *said >= most) else { continue };
        best = if said > most { Some(place) } else { None };
        most = said;
    }
    best
}

/// How many of the key fields an item has. None where it has another value for one.
fn fit(item: &Value, key: &Map<String, Value>) -> Option<usize> {
    let mut said = 0;
    for (name, value) in key {
        match item.get(name).filter(|found| !found.is_null()) {
            Some(found) if found == value => said += 1,
            Some(_) => return None,
            None => {}
        }
    }
    Some(said)
}

/// Adds all fields of one set to another.
pub(super) fn unite(set: &mut FieldSet, other: &FieldSet) {
    for (name, theirs) in other {
        let Some(theirs) = theirs.as_object() else { continue };
        let ours = set.entry(name.clone()).or_insert_with(|| Value::Object(theirs.clone()));
        let Some(ours) = ours.as_object_mut() else { continue };
        // A leaf is the field itself; with fields below it, that is said by a dot.
        if ours.is_empty() != theirs.is_empty() {
            ours.entry(".").or_insert_with(|| Value::Object(Map::new()));
        }
        unite(ours, theirs);
    }
}

/// Takes the fields of one set out of another.
pub(super) fn subtract(set: &mut FieldSet, other: &FieldSet) {
    for (name, theirs) in other {
        let Some(ours) = set.get_mut(name).and_then(Value::as_object_mut) else { continue };
        let theirs = theirs.as_object();
        let below = theirs.filter(|theirs| !theirs.is_empty() && !ours.is_empty());
        match below {
            Some(theirs) => subtract(ours, theirs),
            None if ours.is_empty() => {}
            None => drop(ours.remove(".")),
        }
        if below.is_none() || ours.is_empty() {
            remove_if_bare(set, name);
        }
    }
}

fn remove_if_bare(set: &mut FieldSet, name: &str) {
    if set.get(name).and_then(Value::as_object).is_some_and(Map::is_empty) {
        set.remove(name);
    }
}

/// The fields of a set that a value has, too.
pub(super) fn restrict(set: &FieldSet, value: &Value) -> FieldSet {
    let mut kept = FieldSet::new();
    for (name, below) in set {
        let found = match Element::parse(name) {
            Some(Element::Itself) => Some(value),
            Some(Element::Field(field)) => value.get(field).filter(|found| !found.is_null()),
            Some(Element::Key(key)) => {
                value.as_array().and_then(|items| find_item(items, &key).and_then(|place| items.get(place)))
            }
            Some(Element::Value(item)) => {
                value.as_array().and_then(|items| items.iter().find(|found| **found == item))
            }
            Some(Element::Index(_)) | None => None,
        };
        let (Some(found), Some(below)) = (found, below.as_object()) else { continue };
        let part = restrict(below, found);
        if below.is_empty() || !part.is_empty() {
            kept.insert(name.clone(), Value::Object(part));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn set(value: Value) -> FieldSet {
        value.as_object().cloned().expect("a set")
    }

    #[rstest]
    #[case(".", Some(Element::Itself))]
    #[case("f:a:b", Some(Element::Field("a:b")))]
    #[case("f:", Some(Element::Field("")))]
    #[case("v:\"x\"", Some(Element::Value(json!("x"))))]
    #[case("i:2", Some(Element::Index(2)))]
    #[case("k:{\"name\":\"web\"}", json!({"name": "web"}).as_object().cloned().map(Element::Key))]
    #[case("k:web", None)]
    #[case("x:y", None)]
    #[case("name", None)]
    fn names_are_read(#[case] name: &str, #[case] expected: Option<Element<'_>>) {
        assert_eq!(Element::parse(name), expected);
    }

    #[rstest]
    #[case::exact(json!([{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP"}]), Some(1))]
    #[case::left_out(json!([{"port": 79}, {"port": 80}]), Some(1))]
    #[case::says_most(json!([{"port": 80}, {"port": 80, "protocol": "UDP"}]), Some(1))]
    #[case::null_is_left_out(json!([{"port": 80, "protocol": null}]), Some(0))]
    #[case::twice(json!([{"port": 80}, {"port": 80}]), None)]
    #[case::nothing_said(json!([{}]), None)]
    #[case::other(json!([{"port": 80, "protocol": "TCP"}]), None)]
    #[case::no_objects(json!([80, "UDP"]), None)]
    fn items_are_found_by_key(#[case] items: Value, #[case] expected: Option<usize>) {
        let key = set(json!({"port": 80, "protocol": "UDP"}));
        assert_eq!(find_item(items.as_array().expect("a list"), &key), expected);
    }

    #[rstest]
    #[case::disjoint(json!({"f:a": {}}), json!({"f:b": {}}), json!({"f:a": {}, "f:b": {}}))]
    #[case::nested(json!({"f:a": {"f:b": {}}}), json!({"f:a": {"f:c": {}}}), json!({"f:a": {"f:b": {}, "f:c": {}}}))]
    #[case::leaf_and_more(json!({"f:a": {}}), json!({"f:a": {"f:c": {}}}), json!({"f:a": {".": {}, "f:c": {}}}))]
    #[case::more_and_leaf(json!({"f:a": {"f:c": {}}}), json!({"f:a": {}}), json!({"f:a": {".": {}, "f:c": {}}}))]
    fn sets_unite(#[case] one: Value, #[case] other: Value, #[case] expected: Value) {
        let mut united = set(one);
        unite(&mut united, &set(other));
        assert_eq!(Value::Object(united), expected);
    }

    #[rstest]
    #[case::leaf(json!({"f:a": {}, "f:b": {}}), json!({"f:a": {}}), json!({"f:b": {}}))]
    #[case::nested(json!({"f:a": {".": {}, "f:b": {}}}), json!({"f:a": {"f:b": {}}}), json!({"f:a": {".": {}}}))]
    #[case::last_below(json!({"f:a": {"f:b": {}}, "f:c": {}}), json!({"f:a": {"f:b": {}}}), json!({"f:c": {}}))]
    #[case::all(json!({"f:a": {".": {}, "f:b": {}}}), json!({"f:a": {".": {}, "f:b": {}}}), json!({}))]
    #[case::only_itself(json!({"f:a": {".": {}, "f:b": {}}}), json!({"f:a": {}}), json!({"f:a": {"f:b": {}}}))]
    #[case::foreign(json!({"f:a": {}}), json!({"f:z": {"f:y": {}}}), json!({"f:a": {}}))]
    fn sets_subtract(#[case] one: Value, #[case] other: Value, #[case] expected: Value) {
        let mut rest = set(one);
        subtract(&mut rest, &set(other));
        assert_eq!(Value::Object(rest), expected);
    }

    #[test]
    fn sets_are_restricted_to_what_a_value_has() {
        let all = set(json!({
            "f:spec": {
                ".": {},
                "f:gone": {},
                "f:null": {},
                "f:replicas": {},
                "f:containers": {
                    "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}},
                    "k:{\"name\":\"other\"}": {".": {}, "f:name": {}},
                },
                "f:finalizers": {"v:\"a\"": {}, "v:\"b\"": {}},
            },
            "f:status": {"f:phase": {}},
        }));
        let value = json!({"spec": {
            "replicas": 1,
            "null": null,
            "containers": [{"name": "web"}],
            "finalizers": ["b"],
        }});
        let expected = json!({"f:spec": {
            ".": {},
            "f:replicas": {},
            "f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}}},
            "f:finalizers": {"v:\"b\"": {}},
        }});
        assert_eq!(Value::Object(restrict(&all, &value)), expected);
    }
}
