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
            // Nothing asked for and nothing there. A list without items is not written down as owned.
            let nothing = match found.get(name) {
                found if is_absent(found) => wanted.is_null() || is_empty_list(wanted),
                found => is_empty_list(wanted) && found.is_some_and(is_empty_list),
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
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::judge::fixture;

    /// Compares the Deployment of the fixtures after one field of each side was set; null removes it.
    fn suspects(wanted: &[(&str, Value)], live: &[(&str, Value)]) -> Vec<String> {
        let mut desired = fixture::wanted();
        let mut found = fixture::live();
        wanted.iter().for_each(|(pointer, value)| fixture::set(&mut desired, pointer, value.clone()));
        live.iter().for_each(|(pointer, value)| fixture::set(&mut found, pointer, value.clone()));
        match compare(&desired, &found, "argocd-controller") {
            Comparison::Equal => Vec::new(),
            Comparison::Suspect { fields } => fields,
        }
    }

    const WEB: &str = "/spec/template/spec/containers/0";

    #[rstest]
    #[case::unchanged("/kind", json!("Deployment"))]
    #[case::own_timestamp("/metadata/creationTimestamp", json!("1970-01-01T00:00:00Z"))]
    #[case::status("/status", json!({"replicas": 9}))]
    #[case::no_namespace("/metadata/namespace", json!(null))]
    #[case::empty_list("/spec/template/spec/imagePullSecrets", json!([]))]
    fn wishes_that_change_nothing_are_equal(#[case] pointer: &str, #[case] value: Value) {
        assert_eq!(suspects(&[(pointer, value)], &[]), [""; 0]);
    }

    #[rstest]
    #[case::value("/spec/replicas", json!(3), ".spec.replicas")]
    #[case::removed("/spec/replicas", json!(null), ".spec.replicas")]
    #[case::added("/spec/minReadySeconds", json!(5), ".spec.minReadySeconds")]
    #[case::default("/spec/revisionHistoryLimit", json!(10), ".spec.revisionHistoryLimit")]
    #[case::label("/metadata/labels/tier", json!("front"), ".metadata.labels.tier")]
    #[case::annotation("/metadata/annotations/a.b~1c", json!("1"), ".metadata.annotations[\"a.b/c\"]")]
    #[case::finalizers("/metadata/finalizers", json!(["a/b"]), ".metadata.finalizers")]
    #[case::atomic("/spec/selector/matchLabels/tier", json!("front"), ".spec.selector")]
    #[case::in_an_empty_object("/spec/template/spec/volumes/0/emptyDir/medium", json!("Memory"), ".spec.template.spec.volumes[name=tmp].emptyDir")]
    #[case::other_type("/spec/template/spec/containers", json!({}), ".spec.template.spec.containers")]
    #[case::other_kind("/kind", json!("StatefulSet"), ".kind")]
    #[case::other_version("/apiVersion", json!("apps/v1beta2"), ".apiVersion")]
    #[case::no_metadata("/metadata", json!([]), ".metadata")]
    fn wishes_that_change_something_are_suspect(
        #[case] pointer: &str,
        #[case] value: Value,
        #[case] path: &str,
    ) {
        assert_eq!(suspects(&[(pointer, value)], &[]), [path]);
    }

    #[rstest]
    #[case::image("/image", json!("nginx:1.28"), ".image")]
    #[case::whole_list("/args", json!(["--quiet", "--fast"]), ".args")]
    #[case::item_changed("/env/0/value", json!("debug"), ".env[name=LEVEL].value")]
    #[case::item_reads_from_elsewhere("/env/0/valueFrom", json!({"fieldRef": {}}), ".env[name=LEVEL].valueFrom")]
    #[case::key_said_now("/ports/2/protocol", json!("TCP"), ".ports[containerPort=53,protocol=TCP].protocol")]
    #[case::key_left_out_now("/ports/1/protocol", json!(null), ".ports[containerPort=53,protocol=TCP]")]
    fn wishes_for_list_items_name_the_item(#[case] pointer: &str, #[case] value: Value, #[case] path: &str) {
        let pointer = format!("{WEB}{pointer}");
        let path = format!(".spec.template.spec.containers[name=web]{path}");
        let found = suspects(&[(&pointer, value)], &[]);
        assert_eq!(found.first(), Some(&path), "{found:?}");
    }

    /// Items can refer to ones before them.
    #[test]
    fn the_order_of_items_counts() {
        let mut wanted = fixture::wanted();
        let containers = &mut wanted["spec"]["template"]["spec"]["initContainers"];
        containers.as_array_mut().expect("a list").reverse();
        let fields = vec![".spec.template.spec.initContainers".to_owned()];
        assert_eq!(compare(&wanted, &fixture::live(), "argocd-controller"), Comparison::Suspect { fields });
    }

    #[test]
    fn items_that_come_and_go_are_suspect() {
        let mut wanted = fixture::wanted();
        let env = wanted.pointer_mut(&format!("{WEB}/env")).and_then(Value::as_array_mut).expect("a list");
        env[1]["name"] = json!("SHADE");
        let container = ".spec.template.spec.containers[name=web]";
        let fields = vec![format!("{container}.env[name=COLOR]"), format!("{container}.env[1]")];
        assert_eq!(compare(&wanted, &fixture::live(), "argocd-controller"), Comparison::Suspect { fields });
    }

    #[rstest]
    #[case::their_label("/metadata/labels/theirs", json!("1"))]
    #[case::their_default("/spec/revisionHistoryLimit", json!(2))]
    #[case::their_field_of_an_item("/spec/template/spec/containers/0/imagePullPolicy", json!("Never"))]
    #[case::status("/status/replicas", json!(7))]
    fn fields_of_others_are_theirs(#[case] pointer: &str, #[case] value: Value) {
        assert_eq!(suspects(&[], &[(pointer, value)]), [""; 0]);
    }

    #[rstest]
    #[case::value("/spec/template/spec/containers/0/image", json!("nginx:1.28"), ".spec.template.spec.containers[name=web].image")]
    #[case::gone("/metadata/labels", json!(null), ".metadata.labels")]
    #[case::other_type("/spec/template/spec/volumes", json!("tmp"), ".spec.template.spec.volumes")]
    #[case::unreadable_owner("/metadata/managedFields/0/fieldsV1/f:spec", json!({"q:x": {}, "f:replicas": {}}), ".spec")]
    #[case::no_owners("/metadata/managedFields", json!(null), ".metadata.managedFields")]
    #[case::wrong_owners("/metadata/managedFields/0/operation", json!("Update"), ".metadata.managedFields")]
    #[case::part_of_the_object("/metadata/managedFields/0/subresource", json!("scale"), ".metadata.managedFields")]
    #[case::version_of_owners("/metadata/managedFields/0/apiVersion", json!("apps/v1beta2"), ".metadata.managedFields")]
    fn live_fields_that_are_not_ours_any_more_are_suspect(
        #[case] pointer: &str,
        #[case] value: Value,
        #[case] path: &str,
    ) {
        let found = suspects(&[], &[(pointer, value)]);
        assert_eq!(found.first().map(String::as_str), Some(path), "{found:?}");
    }

    #[test]
    fn what_others_changed_is_suspect_and_what_they_added_is_not() {
        let Comparison::Suspect { mut fields } =
            compare(&fixture::wanted(), &fixture::edited(), "argocd-controller")
        else {
            unreachable!("the object was edited")
        };
        fields.sort_unstable();
        let web = ".spec.template.spec.containers[name=web]";
        let expected =
            [".metadata.labels", ".spec.replicas", &format!("{web}.args"), &format!("{web}.image")];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_another_applied_is_suspect() {
        let fields = vec![".metadata.managedFields".to_owned()];
        assert_eq!(compare(&fixture::wanted(), &fixture::live(), "other"), Comparison::Suspect { fields });
    }

    /// A resource as a custom one has it: field, what is wanted, what is live, and whether that is equal.
    #[rstest]
    #[case::null_and_nothing(json!(null), json!(null), true)]
    #[case::null_and_something(json!(null), json!(1), false)]
    #[case::empty_and_dropped(json!({}), json!(null), true)]
    #[case::empty_list_and_dropped(json!([]), json!(null), true)]
    #[case::empty_and_filled(json!({}), json!({"a": 1}), false)]
    #[case::something_and_nothing(json!("a"), json!(null), false)]
    #[case::whole_number(json!(1.0), json!(1), true)]
    #[case::number_and_text(json!(1), json!("1"), false)]
    #[case::quantity(json!("0.5"), json!("500m"), false)]
    #[case::null_inside(json!([{"a": 1, "b": null}]), json!([{"a": 1}]), true)]
    #[case::more_inside(json!([{"a": 1}]), json!([{"a": 1, "b": 2}]), false)]
    fn owned_leaves_are_compared_as_a_whole(#[case] wanted: Value, #[case] live: Value, #[case] equal: bool) {
        let mut desired = json!({"apiVersion": "example.org/v1", "kind": "Widget", "spec": {}});
        let mut found = desired.clone();
        desired["spec"]["it"] = wanted;
        fixture::set(&mut found, "/spec/it", live);
        found["metadata"] = json!({"managedFields": [{
            "manager": "us",
            "operation": "Apply",
            "apiVersion": "example.org/v1",
            "fieldsV1": {"f:spec": {"f:it": {}}},
        }]});
        assert_eq!(compare(&desired, &found, "us") == Comparison::Equal, equal);
        // Given up where there is nothing is no change; given up where there is something removes it.
        let nothing = found["spec"].get("it").is_none();
        desired["spec"] = json!({});
        assert_eq!(compare(&desired, &found, "us") == Comparison::Equal, nothing);
    }

    #[test]
    fn no_more_than_twenty_fields_are_named() {
        let labels: Map<String, Value> = (0..50).map(|number| (format!("l{number}"), json!("x"))).collect();
        assert_eq!(suspects(&[("/metadata/labels", Value::Object(labels))], &[]).len(), MOST_PATHS);
    }
}
