//! Taking over what was written client-side. The API server removes a field that an applier no longer
//! wants only if nobody else owns it, and the owner of a client-side apply is somebody else: its fields
//! are moved to us first. kubectl does the same when it changes to server-side apply.
//!
//! What comes in: a live object and our name. What goes out: a new `metadata.managedFields`. It writes
//! nothing.

use ithaca_api::annotation;
use serde_json::{Map, Value, json};

use super::{
    field_set::{FieldSet, restrict, subtract, unite},
    managed::{Entry, raw_entries},
};

/// What kubectl calls itself when it applies client-side.
const CLIENT_SIDE: &str = "kubectl-client-side-apply";
/// What the API server calls all writers of an object from before it wrote them down.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// The `metadata.managedFields` in which fields that were written client-side belong to `manager`, as if
/// it had applied them server-side; those that `also` wrote count too. None where there are none.
///
/// Status is never taken: applying would then remove it.
pub fn takeover(live: &Value, manager: &str, also: Option<&str>) -> Option<Value> {
    let writers = Writers { manager, also };
    let mut entries = raw_entries(live).to_vec();
    let place = entries.iter().position(|entry| Entry::of(entry).is_applied_by(manager));
    // An applier has one entry and that has one version; fields named in another version stay where they are.
    let version = match place {
        Some(place) => Entry::of(&entries[place]).api_version.to_owned(),
        None => newest_version(live, writers)?,
    };
    let mut taken = FieldSet::new();
    let mut time = Value::Null;
    for entry in entries.iter_mut().filter(|entry| Entry::of(entry).api_version == version) {
        let Some(fields) = client_side_fields(&Entry::of(entry), live, writers) else { continue };
        unite(&mut taken, &fields);
        time = entry["time"].clone();
        if let Some(rest) = entry["fieldsV1"].as_object_mut() {
            subtract(rest, &fields);
        }
    }
    if taken.is_empty() {
        return None;
    }
    match place.and_then(|place| entries[place]["fieldsV1"].as_object_mut()) {
        Some(applied) => unite(applied, &taken),
        None => entries.push(json!({
            "manager": manager,
            "operation": "Apply",
            "apiVersion": version,
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": taken,
        })),
    }
    entries.retain(|entry| Entry::of(entry).fields.is_none_or(|fields| !fields.is_empty()));
    Some(Value::Array(entries))
}

/// Whose fields are taken, beside those of whoever applies client-side.
#[derive(Clone, Copy)]
struct Writers<'a> {
    manager: &'a str,
    also: Option<&'a str>,
}

impl Writers<'_> {
    fn are(self, name: &str) -> bool {
        name == self.manager || self.also == Some(name)
    }
}

/// The version of the client-side entry that was written last.
fn newest_version(live: &Value, writers: Writers<'_>) -> Option<String> {
    let entries = raw_entries(live).iter().map(Entry::of);
    let ours = entries.filter(|entry| client_side_fields(entry, live, writers).is_some());
    ours.max_by_key(|entry| entry.time).map(|entry| entry.api_version.to_owned())
}

/// The fields of an entry that were written client-side. None where there are none.
fn client_side_fields(entry: &Entry<'_>, live: &Value, writers: Writers<'_>) -> Option<FieldSet> {
    let fields = entry.fields.filter(|_| entry.operation == "Update" && entry.subresource.is_empty())?;
    let mut taken = match entry.manager {
        // It owns all that is there, whoever wrote it: only what was applied is ours to remove.
        BEFORE_FIRST_APPLY => restrict(fields, &last_applied(live)?),
        CLIENT_SIDE => fields.clone(),
        name if writers.are(name) || owns_last_applied(fields) => fields.clone(),
        _ => return None,
    };
    taken.remove("f:status");
    (!taken.is_empty()).then_some(taken)
}

/// Whether a label was written by `manager`, or by a client-side apply: others copy labels along.
pub fn applies_label(live: &Value, label: &str, manager: &str) -> bool {
    let owned = |fields: &FieldSet| {
        let labels = fields.get("f:metadata").and_then(|metadata| metadata.get("f:labels"));
        labels.is_some_and(|labels| labels.get(format!("f:{label}")).is_some())
    };
    raw_entries(live).iter().map(Entry::of).any(|entry| {
        let applies =
            |fields| entry.manager == manager || entry.manager == CLIENT_SIDE || owns_last_applied(fields);
        entry.fields.is_some_and(|fields| owned(fields) && applies(fields))
    })
}

/// Whoever keeps the annotation up to date applies client-side, whatever its name.
fn owns_last_applied(fields: &FieldSet) -> bool {
    let annotations = fields.get("f:metadata").and_then(|metadata| metadata.get("f:annotations"));
    annotations.is_some_and(|owned| owned.get(format!("f:{}", annotation::LAST_APPLIED)).is_some())
}

/// What was last applied client-side, and the annotation that says so.
fn last_applied(live: &Value) -> Option<Value> {
    let text = live["metadata"]["annotations"][annotation::LAST_APPLIED].as_str()?;
    let mut applied: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let metadata = applied.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(annotation::LAST_APPLIED.to_owned(), json!(text));
        }
    }
    Some(Value::Object(applied))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::judge::fixture;

    const US: &str = "argocd-controller";

    /// Who has an entry after the takeover, and how it was written.
    fn owners(fields: &Value) -> Vec<(&str, &str)> {
        let entries = fields.as_array().expect("a list").iter().map(Entry::of);
        entries.map(|entry| (entry.manager, entry.operation)).collect()
    }

    fn ours(fields: &Value) -> Value {
        let mut entries = fields.as_array().expect("a list").iter();
        let entry = entries.find(|entry| Entry::of(entry).is_applied_by(US)).expect("our entry");
        entry["fieldsV1"].clone()
    }

    /// An object with these entries: manager, operation, fields.
    fn object(entries: &[(&str, &str, Value)]) -> Value {
        let entries = entries.iter().map(|(manager, operation, fields)| {
            json!({
                "manager": manager,
                "operation": operation,
                "apiVersion": "v1",
                "time": "2026-11-25T01:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": fields,
            })
        });
        json!({"metadata": {"managedFields": entries.collect::<Vec<_>>()}})
    }

    #[test]
    fn what_kubectl_applied_client_side_becomes_ours() {
        let live = fixture::client_side();
        let fields = takeover(&live, US, None).expect("something to take over");
        assert_eq!(owners(&fields), [(US, "Apply")]);
        let mut expected = raw_entries(&live)[0].clone();
        expected["manager"] = json!(US);
        expected["operation"] = json!("Apply");
        assert_eq!(fields, json!([expected]));
    }

    #[rstest]
    #[case::argo_cd(US)]
    #[case::kubectl("kubectl-client-side-apply")]
    fn fields_are_added_to_what_we_applied(#[case] writer: &str) {
        let live = object(&[
            (US, "Apply", json!({"f:data": {"f:a": {}}})),
            (writer, "Update", json!({"f:data": {".": {}, "f:b": {}}})),
            ("other", "Update", json!({"f:data": {"f:c": {}}})),
        ]);
        let fields = takeover(&live, US, None).expect("something to take over");
        assert_eq!(owners(&fields), [(US, "Apply"), ("other", "Update")]);
        assert_eq!(ours(&fields), json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}}));
    }

    #[test]
    fn whoever_keeps_the_annotation_applies_client_side() {
        let annotation = json!({"f:metadata": {"f:annotations": {
            "f:kubectl.kubernetes.io/last-applied-configuration": {},
        }}});
        let live = object(&[("terraform", "Update", annotation.clone())]);
        let fields = takeover(&live, US, None).expect("something to take over");
        assert_eq!(owners(&fields), [(US, "Apply")]);
        assert_eq!(ours(&fields), annotation);
    }

    #[test]
    fn a_manager_that_is_named_is_taken_over_too() {
        let live = object(&[("pulumi", "Update", json!({"f:data": {"f:a": {}}}))]);
        assert_eq!(takeover(&live, US, None), None);
        let fields = takeover(&live, US, Some("pulumi")).expect("something to take over");
        assert_eq!(owners(&fields), [(US, "Apply")]);
    }

    #[rstest]
    #[case::nothing(object(&[]))]
    #[case::applied(object(&[(US, "Apply", json!({"f:data": {}}))]))]
    #[case::edited(object(&[("kubectl-edit", "Update", json!({"f:data": {}}))]))]
    #[case::created(object(&[("kubectl-create", "Update", json!({"f:data": {}}))]))]
    #[case::applied_by_another(object(&[("kubectl-client-side-apply", "Apply", json!({"f:data": {}}))]))]
    #[case::empty(object(&[("kubectl-client-side-apply", "Update", json!({}))]))]
    #[case::status_alone(object(&[(US, "Update", json!({"f:status": {"f:health": {}}}))]))]
    #[case::before_first_apply_of_no_client(object(&[("before-first-apply", "Update", json!({"f:data": {}}))]))]
    #[case::server_side(fixture::live())]
    #[case::edited_since(fixture::edited())]
    #[case::no_object(json!(null))]
    fn nothing_else_is_taken_over(#[case] live: Value) {
        assert_eq!(takeover(&live, US, None), None);
    }

    /// Applications have no status subresource: their status is a field like any other.
    #[test]
    fn status_stays_where_it_is() {
        let live =
            object(&[(US, "Update", json!({"f:spec": {"f:project": {}}, "f:status": {"f:health": {}}}))]);
        let fields = takeover(&live, US, None).expect("something to take over");
        assert_eq!(owners(&fields), [(US, "Update"), (US, "Apply")]);
        assert_eq!(ours(&fields), json!({"f:spec": {"f:project": {}}}));
        assert_eq!(fields[0]["fieldsV1"], json!({"f:status": {"f:health": {}}}));
    }

    #[test]
    fn subresources_stay_where_they_are() {
        let mut live = object(&[(US, "Update", json!({"f:spec": {"f:replicas": {}}}))]);
        fixture::set(&mut live, "/metadata/managedFields/0/subresource", json!("scale"));
        assert_eq!(takeover(&live, US, None), None);
    }

    #[test]
    fn fields_in_another_version_stay_where_they_are() {
        let mut live = object(&[
            (US, "Apply", json!({"f:data": {"f:a": {}}})),
            ("kubectl-client-side-apply", "Update", json!({"f:data": {"f:b": {}}})),
        ]);
        fixture::set(&mut live, "/metadata/managedFields/1/apiVersion", json!("v1beta1"));
        assert_eq!(takeover(&live, US, None), None);
    }

    #[test]
    fn of_an_object_from_before_all_that_is_taken_is_what_was_applied() {
        let fields = takeover(&fixture::before_first_apply(), US, None).expect("something to take over");
        assert_eq!(owners(&fields), [(US, "Apply"), ("before-first-apply", "Update")]);
        let rest = &fields[1]["fieldsV1"];
        // Defaults were written by nobody, what was applied is ours now.
        assert!(rest["f:spec"].get("f:revisionHistoryLimit").is_some());
        assert!(rest["f:spec"].get("f:selector").is_none());
        let ours = ours(&fields);
        let annotations = &ours["f:metadata"]["f:annotations"];
        assert!(annotations.get("f:kubectl.kubernetes.io/last-applied-configuration").is_some());
        assert!(ours["f:spec"].get("f:revisionHistoryLimit").is_none());
        assert!(ours.pointer("/f:spec/f:template/f:spec/f:nodeSelector").is_some());
    }
}
