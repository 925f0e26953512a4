//! The merge patch (RFC 7386) that makes an Application say what it should.
//!
//! What comes in: the status before and after. What goes out: what to send, with only what changed. The lists of objects
//! in it are borrowed: as JSON values those of a large application take many times the memory of the application itself.

use ithaca_api::{
    Application, ApplicationStatus,
    annotation::REFRESH,
    status::{ResourceResult, ResourceStatus},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::status::Change;

/// A merge patch, to be serialized.
#[derive(Debug, Serialize)]
pub struct Patch<'a> {
    /// The version that was decided on; annotations to be taken away.
    metadata: Value,
    /// Null where the operation is done with.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Value>,
    status: StatusPatch<'a>,
}

/// A list as it should be, where it changed; null where nothing is in it any more.
type List<'a, T> = Option<Option<&'a [T]>>;

#[derive(Debug, Serialize)]
struct StatusPatch<'a> {
    #[serde(flatten)]
    rest: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: List<'a, ResourceStatus>,
    #[serde(rename = "operationState", skip_serializing_if = "Option::is_none")]
    operation: Option<OperationPatch<'a>>,
}

#[derive(Debug, Serialize)]
struct OperationPatch<'a> {
    #[serde(flatten)]
    rest: Map<String, Value>,
    #[serde(rename = "syncResult")]
    result: ResultPatch<'a>,
}

#[derive(Debug, Serialize)]
struct ResultPatch<'a> {
    #[serde(flatten)]
    rest: Map<String, Value>,
    resources: List<'a, ResourceResult>,
}

impl<'a> Patch<'a> {
    /// What turns the Application into what the change says, unless it was written meanwhile.
    pub(super) fn new(application: &Application, change: &'a Change) -> Self {
        let mut metadata = Map::new();
        if let Some(version) = &application.metadata.resource_version {
            metadata.insert("resourceVersion".to_owned(), Value::from(version.as_str()));
        }
        if change.clears_refresh {
            metadata.insert("annotations".to_owned(), json!({REFRESH: null}));
        }
        let before = application.status.clone().unwrap_or_default();
        Self {
            metadata: Value::Object(metadata),
            operation: change.clears_operation.then_some(Value::Null),
            status: StatusPatch::new(&before, &change.status),
        }
    }
}

impl<'a> StatusPatch<'a> {
    fn new(before: &ApplicationStatus, after: &'a ApplicationStatus) -> Self {
        let mut rest = of_the_rest(before, after);
        let results = list(results(before).unwrap_or_default(), results(after).unwrap_or_default());
        let operation = results.filter(|_| self::results(after).is_some()).map(|results| {
            let mut rest = nested(&mut rest, "operationState");
            let result = ResultPatch { rest: nested(&mut rest, "syncResult"), resources: Some(results) };
            OperationPatch { rest, result }
        });
        Self { rest, resources: list(&before.resources, &after.resources), operation }
    }
}

fn list<'a, T: PartialEq>(before: &[T], after: &'a [T]) -> List<'a, T> {
    (before != after).then_some(Some(after).filter(|after| !after.is_empty()))
}

fn results(status: &ApplicationStatus) -> Option<&[ResourceResult]> {
    Some(&status.operation_state.as_ref()?.sync_result.as_ref()?.resources)
}

/// What changed but for the lists of objects.
fn of_the_rest(before: &ApplicationStatus, after: &ApplicationStatus) -> Map<String, Value> {
    let [before, after] = [before, after].map(|status| {
        let mut status = status.clone();
        status.resources = Default::default();
        if let Some(result) = status.operation_state.as_mut().and_then(|state| state.sync_result.as_mut()) {
            result.resources = Default::default();
        }
        serde_json::to_value(status).unwrap_or_default()
    });
    match merge_patch(&before, &after) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Takes the object of this name out; an empty one where there is none.
fn nested(fields: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match fields.remove(name) {
        Some(Value::Object(nested)) => nested,
        _ => Map::new(),
    }
}

/// The JSON merge patch that turns `before` into `after`.
fn merge_patch(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return after.clone() };
    let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(|(key, value)| {
        let patch = before.get(key).map_or_else(|| value.clone(), |before| merge_patch(before, value));
        (key.clone(), patch)
    });
    Value::Object(removed.chain(changed).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ithaca_api::{
        OperationPhase, Time,
        status::{OperationState, SyncOperationResult},
    };
    use proptest::prelude::*;

    use super::*;

    fn status(resources: &[u8], results: Option<&[u8]>, message: &str) -> ApplicationStatus {
        let named = |name: &u8| ResourceStatus { name: name.to_string(), ..ResourceStatus::default() };
        let done = |name: &u8| ResourceResult { name: name.to_string(), ..ResourceResult::default() };
        let state = results.map(|results| OperationState {
            operation: Default::default(),
            phase: OperationPhase::Running,
            message: message.to_owned(),
            sync_result: (!results.contains(&0)).then(|| SyncOperationResult {
                resources: Arc::new(results.iter().map(done).collect()),
                ..SyncOperationResult::default()
            }),
            started_at: Time(jiff::Timestamp::UNIX_EPOCH),
            finished_at: None,
            retry_count: 0,
        });
        ApplicationStatus {
            resources: Arc::new(resources.iter().map(named).collect()),
            operation_state: state,
            controller_namespace: message.to_owned(),
            ..ApplicationStatus::default()
        }
    }

    /// Source: RFC 7386, section 2.
    fn merged(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (name, value) in patch {
            match (value, target.as_object_mut()) {
                (Value::Null, Some(target)) => drop(target.remove(name)),
                (_, target) => merged(target.expect("an object").entry(name).or_insert(Value::Null), value),
            }
        }
    }

    proptest! {
        #[test]
        fn the_patch_makes_one_status_of_the_other_and_says_only_what_changed(
            lists in prop::array::uniform4(prop::collection::vec(0..3_u8, 0..3)),
            states in prop::array::uniform2(any::<bool>()),
            messages in prop::array::uniform2("[ab]?"),
        ) {
            let before = status(&lists[0], states[0].then_some(&lists[1]), &messages[0]);
            let after = status(&lists[2], states[1].then_some(&lists[3]), &messages[1]);
            let patch = serde_json::to_value(StatusPatch::new(&before, &after)).expect("JSON");
            let whole = |status: &ApplicationStatus| serde_json::to_value(status).expect("JSON");
            prop_assert_eq!(&patch, &merge_patch(&whole(&before), &whole(&after)));
            let mut patched = whole(&before);
            merged(&mut patched, &patch);
            prop_assert_eq!(patched, whole(&after));
        }
    }

    #[test]
    fn a_merge_patch_says_only_what_changed() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let after = json!({"a": 1, "b": {"c": 2}, "e": [2]});
        assert_eq!(merge_patch(&before, &after), json!({"b": {"c": 2, "d": null}, "e": [2]}));
    }
}
