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
/// that is wanted is owned. Status is nobody's wish and is left out.
pub fn compare(desired: &Value, live: &Value, manager: &str) -> Comparison {
    let mut walk = Walk { fields: Vec::new() };
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
            // Nothing asked for and nothing there. A list without items is not written down as owned.
            let nothing = match found.get(name) {
                None | Some(Value::Null) => wanted.is_null() || is_empty_list(wanted),
                Some(found) => is_empty_list(wanted) && is_empty_list(found),
            };
            if !nothing {
                self.suspect(&path.field(name));
            }
        }
    }

    fn field(&mut self, owned: &Value, wanted: &Value, found: Option<&Value>, path: &Path<'_>) {
        let Some(owned) = owned.as_object() else { return self.suspect(path) };
        let found = match found {
            None | Some(Value::Null) => {
                // The API server drops empty objects where its types have no room for them.
                if !(wanted.is_null() || is_empty(wanted) && owned.is_empty()) {
                    self.suspect(path);
                }
                return;
            }
            Some(found) => found,
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

/// Equal, where a field that is wanted as null may as well be absent.
fn is_same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let known = found.keys().all(|name| wanted.contains_key(name));
            known
                && wanted.iter().all(|(name, wanted)| match found.get(name) {
                    Some(found) => is_same(wanted, found),
                    None => wanted.is_null(),
                })
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| is_same(wanted, found))
        }
        _ => wanted == found,
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || is_empty_list(value)
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A Service as it is wanted, and as it is live after it was applied.
    fn service() -> (Value, Value) {
        let wanted = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]},
        });
        let live = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "uid": "u",
                "labels": {"app": "web", "theirs": "1"},
                "managedFields": [{
                    "manager": "argocd-controller",
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:app": {}}},
                        "f:spec": {
                            "f:ports": {
                                "k:{\"port\":53,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}},
                                "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
                            },
                            "f:selector": {},
                        },
                    },
                }],
            },
            "spec": {
                "clusterIP": "10.0.0.1",
                "selector": {"app": "web"},
                "ports": [
                    {"port": 80, "protocol": "TCP", "targetPort": 80},
                    {"port": 53, "protocol": "UDP", "targetPort": 53},
                ],
            },
        });
        (wanted, live)
    }

    #[test]
    fn what_was_applied_is_equal() {
        let (wanted, live) = service();
        assert_eq!(compare(&wanted, &live, "argocd-controller"), Comparison::Equal);
    }

    #[test]
    fn what_another_applied_is_suspect() {
        let (wanted, live) = service();
        let fields = vec![".metadata.managedFields".to_owned()];
        assert_eq!(compare(&wanted, &live, "other"), Comparison::Suspect { fields });
    }
}
