//! The cheap comparison of what Git wants with what is live. It knows no schema: it trusts what the API
//! server wrote down about our last apply, and walks that over both objects.
//!
//! What comes in: the object that would be applied, the live one, and our name. What goes out: that
//! applying would change nothing, or the fields for which that is not sure. Only the first is a verdict.

use serde_json::{Map, Value};

use super::{
    BOOKKEEPING, MOST_PATHS,
    field_set::{Element, FieldSet, find_item},
    managed,
    path::Path,
};
use crate::health;

/// What the cheap comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Applying the object again would change nothing.
    Equal,
    /// Something differs, or cannot be told from here: a server-side dry run has to decide.
    Suspect {
        /// Paths of the fields in question, at most 20.
        fields: Vec<String>,
    },
}

/// Compares an object that Git wants with the live one, given what `manager` applied of it before.
///
/// Equal means: every field that the manager owns is wanted with the value that is live, and every field
/// that is wanted is owned. Status is nobody's wish and is left out. A field that is wanted as null is as
/// good as absent only where the API server has already made nothing of it.
pub fn compare(desired: &Value, live: &Value, manager: &str) -> Comparison {
    let group = desired["apiVersion"]
        .as_str()
        .and_then(|version| version.split_once('/'))
        .map_or("", |parts| parts.0);
    let mut walk = Walk { fields: Vec::new(), drops_empty_lists: !health::is_custom(group) };
    walk.root(desired, live, manager);
    match walk.fields.is_empty() {
        true => Comparison::Equal,
        false => Comparison::Suspect { fields: walk.fields },
    }
}

/// The parts of an object that identify it, which no manager owns, and its status.
const UNOWNED: &[&str] = &["apiVersion", "kind", "metadata", "status"];

struct Walk {
    fields: Vec<String>,
    /// Whether the object's type is one that leaves out lists without items.
    drops_empty_lists: bool,
}

impl Walk {
    fn suspect(&mut self, path: &Path<'_>) {
        if self.fields.len() < MOST_PATHS {
            self.fields.push(path.to_string());
        }
    }

    fn root(&mut self, desired: &Value, live: &Value, manager: &str) {
        let metadata = Path::ROOT.field("metadata");
        let (Some(wanted), Some(found)) = (desired.as_object(), live.as_object()) else {
            return self.suspect(&Path::ROOT);
        };
        for name in ["apiVersion", "kind"] {
            if wanted.get(name) != found.get(name) {
                return self.suspect(&Path::ROOT.field(name));
            }
        }
        let mut applied = managed::entries(live).filter(|entry| entry.is_applied_by(manager));
        let applied = applied.find(|entry| desired["apiVersion"] == entry.api_version);
        let Some(owned) = applied.and_then(|entry| entry.fields) else {
            return self.suspect(&metadata.field("managedFields"));
        };
        self.metadata(owned, wanted, found, &metadata);
        self.object(owned, wanted, found, &Path::ROOT, &|name| UNOWNED.contains(&name));
    }

    fn metadata(
        &mut self,
        owned: &FieldSet,
        wanted: &Map<String, Value>,
        found: &Map<String, Value>,
        path: &Path<'_>,
    ) {
        let none = Map::new();
        let parts = (
            part(owned, "f:metadata", &none),
            part(wanted, "metadata", &none),
            part(found, "metadata", &none),
        );
        let (Some(owned), Some(wanted), Some(found)) = parts else { return self.suspect(path) };
        let unowned = |name: &str| matches!(name, "name" | "namespace") || BOOKKEEPING.contains(&name);
        self.object(owned, wanted, found, path, &unowned);
    }

    fn object(
        &mut self,
        owned: &FieldSet,
        wanted: &Map<String, Value>,
        found: &Map<String, Value>,
        path: &Path<'_>,
        unowned: &dyn Fn(&str) -> bool,
    ) {
        let mut seen = 0;
        for (name, below) in owned {
            match Element::parse(name) {
                Some(Element::Itself) => {}
                Some(Element::Field(name)) if unowned(name) => {}
                Some(Element::Field(name)) => {
                    let path = path.field(name);
                    match wanted.get(name) {
                        Some(wanted) => {
                            seen += 1;
                            self.field(below, wanted, found.get(name), &path);
                        }
                        // Applying gives it up, and that shows only if it is there.
                        None if is_absent(found.get(name)) => {}
                        None => self.suspect(&path),
                    }
                }
                _ => self.suspect(path),
            }
        }
        if seen < wanted.len() {
            self.unowned_fields(owned, wanted, found, path, unowned);
        }
    }

    /// Wanted fields that our last apply did not have.
    fn unowned_fields(
        &mut self,
        owned: &FieldSet,
        wanted: &Map<String, Value>,
        found: &Map<String, Value>,
        path: &Path<'_>,
        unowned: &dyn Fn(&str) -> bool,
    ) {
        for (name, wanted) in wanted {
            if unowned(name) || owned.contains_key(&format!("f:{name}")) {
                continue;
            }
            // Kubernetes' own types have no room for a list without items, and nobody owns one.
            let nothing = is_empty_list(wanted)
                && match found.get(name) {
                    None | Some(Value::Null) => self.drops_empty_lists,
                    Some(found) => is_empty_list(found),
                };
            if !nothing {
                self.suspect(&path.field(name));
            }
        }
    }

    fn field(&mut self, owned: &Value, wanted: &Value, found: Option<&Value>, path: &Path<'_>) {
        let Some(owned) = owned.as_object() else { return self.suspect(path) };
        let Some(found) = found.filter(|found| !found.is_null()) else {
            // The API server drops empty objects where its types have no room for them.
            if !(wanted.is_null() || is_empty(wanted) && owned.is_empty()) {
                self.suspect(path);
            }
            return;
        };
        match (wanted, found) {
            _ if owned.is_empty() => {
                if !is_same(wanted, found) {
                    self.suspect(path);
                }
            }
            (Value::Object(wanted), Value::Object(found)) => {
                self.object(owned, wanted, found, path, &|_| false)
            }
            (Value::Array(wanted), Value::Array(found)) => self.list(owned, wanted, found, path),
            _ => self.suspect(path),
        }
    }

    fn list(&mut self, owned: &FieldSet, wanted: &[Value], found: &[Value], path: &Path<'_>) {
        let mut places = Vec::with_capacity(owned.len());
        for (name, below) in owned {
            let Some(element) = Element::parse(name) else {
                self.suspect(path);
                continue;
            };
            let place = |items: &[Value]| match &element {
                Element::Key(key) => find_item(items, key),
                Element::Value(value) => items.iter().position(|item| item == value),
                Element::Index(index) => Some(*index).filter(|index| *index < items.len()),
                Element::Itself | Element::Field(_) => None,
            };
            let path = path.element(&element);
            match (place(wanted), place(found)) {
                _ if element == Element::Itself => {}
                (Some(wanted_place), Some(found_place)) => {
                    places.push((wanted_place, found_place));
                    self.field(below, &wanted[wanted_place], Some(&found[found_place]), &path);
                }
                _ => self.suspect(&path),
            }
        }
        places.sort_unstable();
        // The order of items can matter (init containers, variables that use others) and is ours to keep.
        let in_order = places.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1);
        if !in_order {
            self.suspect(path);
        }
        for place in 0..wanted.len() {
            if !places.iter().any(|(wanted, _)| *wanted == place) {
                self.suspect(&path.index(place));
            }
        }
    }
}

/// A field that is an object; one that is absent is empty. None where it is something else.
fn part<'a>(
    object: &'a Map<String, Value>,
    name: &str,
    none: &'a Map<String, Value>,
) -> Option<&'a Map<String, Value>> {
    match object.get(name) {
        Some(Value::Object(part)) => Some(part),
        Some(Value::Null) | None => Some(none),
        Some(_) => None,
    }
}

/// Equal values. A null is not as good as nothing here: some maps turn it into an empty text.
fn is_same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .all(|(name, wanted)| found.get(name).is_some_and(|found| is_same(wanted, found)))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| is_same(wanted, found))
        }
        // The API server writes 1.0 as 1.
        (Value::Number(wanted), Value::Number(found)) if wanted.is_f64() || found.is_f64() => {
            wanted.as_f64() == found.as_f64()
        }
        _ => wanted == found,
    }
}

fn is_absent(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_null)
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || is_empty_list(value)
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests;
