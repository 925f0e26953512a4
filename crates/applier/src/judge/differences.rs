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
    let sets: Vec<&FieldSet> =
        managed::entries(live).chain(managed::entries(applied)).filter_map(|entry| entry.fields).collect();
    let mut walk = Walk { paths: Vec::new() };
    let metadata = Path::ROOT.field("metadata");
    let (one, other) = (&live["metadata"], &applied["metadata"]);
    walk.objects(&below(&sets, "f:metadata"), one, other, &metadata, BOOKKEEPING);
    walk.objects(&sets, live, applied, &Path::ROOT, &["metadata", "status"]);
    walk.paths
}

struct Walk {
    paths: Vec<String>,
}

impl Walk {
    fn report(&mut self, path: &Path<'_>) {
        if self.paths.len() < MOST_PATHS {
            self.paths.push(path.to_string());
        }
    }

    fn values(&mut self, sets: &[&FieldSet], one: &Value, other: &Value, path: &Path<'_>) {
        match (one, other) {
            _ if one == other => {}
            (Value::Object(_), Value::Object(_)) => self.objects(sets, one, other, path, &[]),
            (Value::Array(one), Value::Array(other)) => self.lists(sets, one, other, path),
            _ => self.report(path),
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

    fn lists(&mut self, sets: &[&FieldSet], one: &[Value], other: &[Value], path: &Path<'_>) {
        let names = sets.iter().flat_map(|set| set.keys()).filter_map(|name| Element::parse(name));
        for element in names {
            match element {
                Element::Key(key) => {
                    let key: Vec<&str> = key.keys().map(String::as_str).collect();
                    return match (keyed(one, &key), keyed(other, &key)) {
                        (Some(one), Some(other)) => self.items(sets, &one, &other, path),
                        _ => self.report(path),
                    };
                }
                Element::Value(_) => return self.sets(one, other, path),
                _ => {}
            }
        }
        self.report(path);
    }

    /// Lists whose items have a key.
    fn items(&mut self, sets: &[&FieldSet], one: &[Keyed<'_>], other: &[Keyed<'_>], path: &Path<'_>) {
        let before = self.paths.len();
        for (key, item) in one {
            let path = path.key(key);
            match other.iter().find(|(other, _)| other == key) {
                Some((_, other)) => self.values(&below_key(sets, key), item, other, &path),
                None => self.report(&path),
            }
        }
        for (key, _) in other.iter().filter(|(key, _)| !one.iter().any(|(one, _)| one == key)) {
            self.report(&path.key(key));
        }
        if self.paths.len() == before {
            self.report(path);
        }
    }

    /// Lists whose items are their own keys.
    fn sets(&mut self, one: &[Value], other: &[Value], path: &Path<'_>) {
        let before = self.paths.len();
        let only = |items: &'_ [Value], others: &[Value]| -> Vec<Value> {
            items.iter().filter(|item| !others.contains(item)).cloned().collect()
        };
        for item in only(one, other).iter().chain(&only(other, one)) {
            self.report(&path.value(item));
        }
        if self.paths.len() == before {
            self.report(path);
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
