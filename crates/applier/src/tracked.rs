//! Whose an object is: the marks that it is given, and what a live one tells.
//!
//! What comes in: manifests and live objects, and how the installation tracks. What goes out: marked manifests, and the
//! name of an Application. It decides about no deletion, but every deletion rests on it: what is claimed here goes when
//! Git no longer wants it, so what may be somebody else's is not claimed.
//!
//! A tracking id names the one object that it is for, so a copy of it claims nothing. A label is copied freely: charts
//! put it on all that they make, Pods have it from their Deployment, volume claims from their StatefulSet, Endpoints from
//! their Service. Where the label decides, an object is an Application's only if nobody owns the object, and if the label
//! was written by the field manager of all that Ithaca and Argo CD apply, or by a client-side apply.

use ithaca_api::{
    annotation::{FIELD_MANAGER, INSTALLATION_ID, TRACKING_ID},
    tracking::{Tracking, TrackingId},
};
use serde_json::{Map, Value};

use crate::{
    desired::Owner,
    judge,
    object::{self, ObjectKey},
};

/// Marks a manifest as an Application's.
pub fn mark(manifest: &mut Value, key: &ObjectKey, owner: &Owner) -> Result<(), String> {
    let tracking = &owner.rules.tracking;
    if tracking.annotates() {
        set(manifest, "annotations", TRACKING_ID, &tracking_id(key, owner).to_string())?;
    }
    if !tracking.installation.is_empty() {
        set(manifest, "annotations", INSTALLATION_ID, &tracking.installation)?;
    }
    if tracking.labels() {
        set(manifest, "labels", &tracking.label, &tracking.label_value(&owner.instance)?)?;
    }
    Ok(())
}

fn set(manifest: &mut Value, field: &str, name: &str, value: &str) -> Result<(), String> {
    let metadata =
        manifest.get_mut("metadata").and_then(Value::as_object_mut).ok_or("metadata is not an object")?;
    let texts = metadata.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if texts.is_null() {
        *texts = Value::Object(Map::new());
    }
    let texts = texts.as_object_mut().ok_or_else(|| format!("metadata.{field} is not an object"))?;
    texts.insert(name.to_owned(), Value::from(value));
    Ok(())
}

/// The tracking id that an object of this application carries. A cluster-scoped one has the destination's namespace in it.
fn tracking_id(key: &ObjectKey, owner: &Owner) -> TrackingId {
    let namespace =
        if key.namespace.is_empty() { owner.namespace.clone() } else { key.namespace.to_string() };
    TrackingId {
        application: owner.instance.clone(),
        group: key.group.to_string(),
        kind: key.kind.to_string(),
        namespace,
        name: key.name.to_string(),
    }
}

/// The Application that a live object belongs to, as it tells.
pub fn instance(key: &ObjectKey, live: &Value, tracking: &Tracking) -> Option<Box<str>> {
    if object::annotation(live, INSTALLATION_ID).unwrap_or_default() != tracking.installation {
        return None;
    }
    match tracking.annotates() {
        true => own_id(object::annotation(live, TRACKING_ID)?, key),
        false => labelled(live, tracking).map(Box::from),
    }
}

/// The application that an id names, unless the id was copied from another object.
fn own_id(id: &str, key: &ObjectKey) -> Option<Box<str>> {
    let id = TrackingId::parse(id)?;
    let same_place = key.namespace.is_empty() || *id.namespace == *key.namespace;
    let own = *id.group == *key.group && *id.kind == *key.kind && *id.name == *key.name && same_place;
    own.then(|| id.application.into())
}

/// The application that the label names, where the object did not get it from another.
fn labelled<'a>(live: &'a Value, tracking: &Tracking) -> Option<&'a str> {
    let metadata = live.get("metadata")?;
    let value = metadata.get("labels")?.get(&tracking.label)?.as_str()?;
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    let is_top_level = owners.is_none_or(Vec::is_empty);
    (!value.is_empty() && is_top_level && judge::applies_label(live, &tracking.label, FIELD_MANAGER))
        .then_some(value)
}

/// A wanted object with the marks of the live one, where that was tracked by the label until the installation changed to
/// the tracking id: it is the same Application's, and the marks alone are no difference. None where it was not.
pub fn as_before(wanted: &Value, live: &Value, tracking: &Tracking) -> Option<Value> {
    if !is_handed_over(wanted, live, tracking) {
        return None;
    }
    let label = labelled(live, tracking)?;
    let mut before = wanted.clone();
    let metadata = before.get_mut("metadata")?.as_object_mut()?;
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(TRACKING_ID);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    set(&mut before, "labels", &tracking.label, label).ok()?;
    Some(before)
}

/// Whether a live object of the wanted one's Application has the label and not yet the tracking id.
pub fn is_handed_over(wanted: &Value, live: &Value, tracking: &Tracking) -> bool {
    let handed_over = || {
        let id = TrackingId::parse(object::annotation(wanted, TRACKING_ID)?)?;
        let expected = tracking.label_value(&id.application).ok()?;
        let same = object::annotation(live, INSTALLATION_ID) == object::annotation(wanted, INSTALLATION_ID);
        Some(same && labelled(live, tracking)? == expected)
    };
    tracking.annotates() && object::annotation(live, TRACKING_ID).is_none() && handed_over() == Some(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ithaca_api::tracking::Method;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::rules::Rules;

    fn tracking(method: Method) -> Tracking {
        Tracking { method, ..Tracking::default() }
    }

    fn key() -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "web", "a")
    }

    /// A ConfigMap with the label, which this manager wrote in this way.
    fn labelled_by(manager: &str, operation: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "a", "namespace": "web",
            "labels": {"app.kubernetes.io/instance": "shop"},
            "managedFields": [{"manager": manager, "operation": operation, "apiVersion": "v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": {"f:app.kubernetes.io/instance": {}}}}}],
        }})
    }

    fn with(mut object: Value, field: &str, value: Value) -> Value {
        object["metadata"][field] = value;
        object
    }

    #[rstest]
    #[case::applied(labelled_by("argocd-controller", "Apply"), true)]
    #[case::by_argo_cd_client_side(labelled_by("argocd-controller", "Update"), true)]
    #[case::by_kubectl(labelled_by("kubectl-client-side-apply", "Update"), true)]
    #[case::by_helm(labelled_by("helm", "Update"), false)]
    #[case::by_a_controller(labelled_by("kube-controller-manager", "Update"), false)]
    #[case::by_hand(labelled_by("kubectl-edit", "Update"), false)]
    #[case::nobody_knows(with(labelled_by("", ""), "managedFields", json!(null)), false)]
    #[case::owned(with(labelled_by("argocd-controller", "Apply"), "ownerReferences", json!([{"kind": "A"}])), false)]
    #[case::of_another_installation(
        with(labelled_by("argocd-controller", "Apply"), "annotations", json!({INSTALLATION_ID: "east"})), false)]
    #[case::empty(with(labelled_by("argocd-controller", "Apply"), "labels", json!({"app.kubernetes.io/instance": ""})), false)]
    fn a_label_claims_only_what_was_applied(#[case] live: Value, #[case] claimed: bool) {
        let found = instance(&key(), &live, &tracking(Method::Label));
        assert_eq!(found.as_deref(), claimed.then_some("shop"));
        for method in [Method::Annotation, Method::AnnotationAndLabel] {
            assert_eq!(instance(&key(), &live, &tracking(method)), None, "the label does not decide");
        }
    }

    #[rstest]
    #[case::own("shop:/ConfigMap:web/a", Some("shop"))]
    #[case::copied("shop:/ConfigMap:web/b", None)]
    #[case::of_another_kind("shop:/Secret:web/a", None)]
    #[case::of_another_group("shop:example.org/ConfigMap:web/a", None)]
    #[case::copied_to_another_namespace("shop:/ConfigMap:shop/a", None)]
    fn an_id_claims_its_own_object(#[case] id: &str, #[case] expected: Option<&str>) {
        let live = json!({"metadata": {"annotations": {TRACKING_ID: id}}});
        assert_eq!(instance(&key(), &live, &Tracking::default()).as_deref(), expected);
        assert_eq!(instance(&key(), &live, &tracking(Method::Label)), None);
    }

    #[test]
    fn objects_of_another_installation_are_not_ours() {
        let live = |installation: Value| {
            json!({"metadata": {"annotations": {
            TRACKING_ID: "shop:/ConfigMap:web/a", INSTALLATION_ID: installation}}})
        };
        let east = Tracking { installation: "east".to_owned(), ..Tracking::default() };
        assert_eq!(instance(&key(), &live(json!("east")), &east).as_deref(), Some("shop"));
        assert_eq!(instance(&key(), &live(json!("west")), &east), None);
        assert_eq!(instance(&key(), &live(json!(null)), &east), None);
        assert_eq!(instance(&key(), &live(json!("west")), &Tracking::default()), None);
    }

    #[rstest]
    #[case(Method::Annotation, true, None)]
    #[case(Method::AnnotationAndLabel, true, Some("shop"))]
    #[case(Method::Label, false, Some("shop"))]
    fn objects_carry_the_marks_of_the_method(
        #[case] method: Method,
        #[case] has_id: bool,
        #[case] label: Option<&str>,
    ) {
        let tracking = Tracking { installation: "east".to_owned(), ..tracking(method) };
        let rules = Arc::new(Rules { tracking, ..Rules::default() });
        let owner = Owner { instance: "shop".to_owned(), rules, ..Owner::default() };
        let mut manifest = json!({"metadata": {"name": "a", "labels": null}});
        mark(&mut manifest, &key(), &owner).expect("a mark");
        let id = object::annotation(&manifest, TRACKING_ID);
        assert_eq!(id, has_id.then_some("shop:/ConfigMap:web/a"));
        assert_eq!(object::annotation(&manifest, INSTALLATION_ID), Some("east"));
        assert_eq!(manifest["metadata"]["labels"]["app.kubernetes.io/instance"].as_str(), label);
    }

    #[test]
    fn after_a_change_to_the_id_the_marks_alone_are_no_difference() {
        let wanted = |application: &str| {
            json!({"metadata": {"name": "a",
            "annotations": {TRACKING_ID: format!("{application}:/ConfigMap:web/a")}}})
        };
        let live = labelled_by("argocd-controller", "Apply");
        let before = as_before(&wanted("shop"), &live, &Tracking::default());
        assert_eq!(
            before,
            Some(json!({"metadata": {"name": "a", "labels": {"app.kubernetes.io/instance": "shop"}}}))
        );
        assert_eq!(as_before(&wanted("bank"), &live, &Tracking::default()), None);
        assert_eq!(as_before(&wanted("shop"), &labelled_by("helm", "Update"), &Tracking::default()), None);
        let with_id = with(live, "annotations", json!({TRACKING_ID: "bank:/ConfigMap:web/a"}));
        assert_eq!(as_before(&wanted("shop"), &with_id, &Tracking::default()), None);
    }
}
