//! The cheap comparison, tried on wishes and edits of a real Deployment.

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
fn wishes_that_change_something_are_suspect(#[case] pointer: &str, #[case] value: Value, #[case] path: &str) {
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

/// Items of a set are named by what they are.
#[rstest]
#[case::the_same(json!(["b", "a"]), json!(["b", "a"]), &[])]
#[case::more_by_others(json!(["b", "a"]), json!(["b", "other", "a"]), &[])]
#[case::another_order(json!(["b", "a"]), json!(["a", "b"]), &[".metadata.finalizers"])]
#[case::gone(json!(["b", "a"]), json!(["b"]), &[".metadata.finalizers[=a]", ".metadata.finalizers[1]"])]
#[case::no_longer_wanted(json!(["b"]), json!(["b", "a"]), &[".metadata.finalizers[=a]"])]
fn items_of_a_set_are_compared_by_value(#[case] wanted: Value, #[case] live: Value, #[case] fields: &[&str]) {
    let object = |finalizers: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "finalizers": finalizers}});
    let mut found = object(live);
    found["metadata"]["managedFields"] = json!([{
        "manager": "argocd-controller", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:finalizers": {".": {}, "v:\"b\"": {}, "v:\"a\"": {}}}},
    }]);
    let found = match compare(&object(wanted), &found, "argocd-controller") {
        Comparison::Equal => Vec::new(),
        Comparison::Suspect { fields } => fields,
    };
    assert_eq!(found, fields);
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
    let expected = [".metadata.labels", ".spec.replicas", &format!("{web}.args"), &format!("{web}.image")];
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
#[case::beyond_what_a_float_tells_apart(json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64), false)]
#[case::number_and_text(json!(1), json!("1"), false)]
#[case::quantity(json!("0.5"), json!("500m"), false)]
#[case::whole_number_inside(json!({"a": [1.0], "b": {"c": 2.0}}), json!({"a": [1], "b": {"c": 2}}), true)]
#[case::null_inside(json!([{"a": 1, "b": null}]), json!([{"a": 1}]), false)]
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

/// The API server may name items by their place alone.
#[rstest]
#[case::same(json!(["a", "b"]), true)]
#[case::last_changed(json!(["a", "c"]), false)]
#[case::shorter(json!(["a"]), false)]
fn items_that_are_owned_by_their_place_are_compared(#[case] live: Value, #[case] equal: bool) {
    let mut desired = json!({"apiVersion": "example.org/v1", "kind": "Widget", "spec": {"it": ["a", "b"]}});
    let mut found = desired.clone();
    found["spec"]["it"] = live;
    found["metadata"] = json!({"managedFields": [{
        "manager": "us",
        "operation": "Apply",
        "apiVersion": "example.org/v1",
        "fieldsV1": {"f:spec": {"f:it": {".": {}, "i:0": {}, "i:1": {}}}},
    }]});
    assert_eq!(compare(&desired, &found, "us") == Comparison::Equal, equal);
    desired["spec"]["it"] = json!(["a"]);
    assert!(compare(&desired, &found, "us") != Comparison::Equal);
}

/// What becomes of a null depends on the type: a ConfigMap makes an empty text of one in its data.
#[test]
fn a_null_that_was_never_applied_is_suspect() {
    let mut wanted = fixture::wanted();
    wanted["metadata"]["labels"]["tier"] = Value::Null;
    let fields = vec![".metadata.labels.tier".to_owned()];
    assert_eq!(compare(&wanted, &fixture::live(), "argocd-controller"), Comparison::Suspect { fields });
}

#[rstest]
#[case::kubernetes("v1", true)]
#[case::somebody_elses("example.org/v1", false)]
fn an_empty_list_that_nobody_owns_is_nothing_to_kubernetes(#[case] version: &str, #[case] equal: bool) {
    let wanted = json!({"apiVersion": version, "kind": "Any", "spec": {"size": 1, "list": []}});
    let mut live = json!({"apiVersion": version, "kind": "Any", "spec": {"size": 1}});
    live["metadata"] = json!({"managedFields": [{
        "manager": "us",
        "operation": "Apply",
        "apiVersion": version,
        "fieldsV1": {"f:spec": {"f:size": {}}},
    }]});
    assert_eq!(compare(&wanted, &live, "us") == Comparison::Equal, equal);
    live["spec"]["list"] = json!([]);
    assert_eq!(compare(&wanted, &live, "us"), Comparison::Equal);
}

#[test]
fn no_more_than_twenty_fields_are_named() {
    let labels: Map<String, Value> = (0..50).map(|number| (format!("l{number}"), json!("x"))).collect();
    assert_eq!(suspects(&[("/metadata/labels", Value::Object(labels))], &[]).len(), MOST_PATHS);
}
