//! Keeps a status within what the API server's store takes.
//!
//! What comes in: a whole status, and the spec beside it. What goes out: the same, or with the least interesting left out:
//! first copies of sources with long values, then what went as it should, then long words, then all but some of what failed
//! or differs. What became of hooks and one object of each kind always stay: the kinds are the inventory that a deletion
//! starts from.

use std::{collections::HashSet, sync::Arc};

use ithaca_api::{
    ApplicationSpec, ApplicationStatus, HealthStatusCode, SyncStatusCode,
    status::{ResourceResult, ResourceStatus, Summary},
};
use serde::Serialize;

use crate::json;

/// Bytes of JSON that a status may have.
const LIMIT: usize = 900_000;

/// Bytes of JSON that spec and status may have together. etcd takes objects of 1.5 MiB, with their managedFields.
const ROOM: usize = 1_300_000;

/// Bytes of JSON that a status may have beside a spec of any length.
const LEAST: usize = 100_000;

/// Bytes of JSON that an entry has without its texts of any length, at most.
const ENTRY: usize = 600;

/// Characters of a message, once messages have to be short.
const SHORT: usize = 300;

/// Objects that failed or differ and are still told of, as less and less fits.
const FEWER: [usize; 3] = [1_000, 300, 100];

/// Leaves out what is least interesting until the status fits.
pub(super) fn fit(status: &mut ApplicationStatus, spec: &ApplicationSpec) {
    let limit = LIMIT.min(ROOM.saturating_sub(bytes(spec))).max(LEAST);
    if estimate(status) < limit {
        return;
    }
    copies_of_sources(status, limit / 2);
    let steps: [fn(&mut ApplicationStatus); 4] =
        [images_and_messages, results_as_expected, resources_as_expected, long_messages];
    for leave_out in steps {
        if bytes(status) <= limit {
            return;
        }
        leave_out(status);
    }
    for most in FEWER {
        if bytes(status) <= limit {
            return;
        }
        keep_some(status, most);
    }
}

fn bytes(value: &impl Serialize) -> usize {
    json::length(value).unwrap_or(usize::MAX)
}

/// Bytes of JSON of what repeats sources, which may hold whole files of values.
fn copies(status: &ApplicationStatus) -> usize {
    let result = status.operation_state.as_ref().and_then(|state| state.sync_result.as_ref());
    let of_result = result.map_or(0, |result| bytes(&(&result.source, &result.sources)));
    bytes(&status.history) + bytes(&status.sync) + of_result
}

/// Has the oldest deployments go first: the newest tell how to go back.
fn copies_of_sources(status: &mut ApplicationStatus, room: usize) {
    while status.history.len() > 1 && copies(status) > room {
        status.history.remove(0);
    }
    if copies(status) > room {
        status.sync.iter_mut().for_each(|sync| sync.compared_to = None);
    }
    if copies(status) > room {
        let results = status.operation_state.iter_mut().filter_map(|state| state.sync_result.as_mut());
        results.for_each(|result| (result.source, result.sources) = (None, Vec::new()));
    }
    if copies(status) > room {
        status.history.clear();
    }
}

/// No fewer bytes than its JSON has, so that small ones cost nothing.
fn estimate(status: &ApplicationStatus) -> usize {
    // A character may take six bytes where it has to be escaped.
    let text = |text: &str| 6 * text.len();
    let of_resource = |resource: &ResourceStatus| {
        ENTRY + resource.health.as_ref().map_or(0, |health| text(&health.message))
    };
    let of_result = |result: &ResourceResult| {
        ENTRY + text(&result.message) + result.images.iter().map(|image| image.len() + 3).sum::<usize>()
    };
    let resources: usize = status.resources.iter().map(of_resource).sum();
    let results: usize = results(status).into_iter().flatten().map(of_result).sum();
    let conditions: usize = status.conditions.iter().map(|condition| ENTRY + text(&condition.message)).sum();
    let state = status.operation_state.as_ref();
    let named = state.and_then(|state| state.operation.sync.as_ref()).map_or(0, |sync| sync.resources.len());
    let Summary { images, external_urls, .. } = &status.summary;
    let images: usize = images.iter().chain(external_urls).map(|text| text.len() + 3).sum();
    let operation = state.map_or(0, |state| text(&state.message)) + named * ENTRY;
    resources + results + conditions + images + operation + copies(status)
}

fn results(status: &ApplicationStatus) -> Option<&Vec<ResourceResult>> {
    Some(&status.operation_state.as_ref()?.sync_result.as_ref()?.resources)
}

fn results_mut(status: &mut ApplicationStatus) -> Option<&mut Vec<ResourceResult>> {
    Some(Arc::make_mut(&mut status.operation_state.as_mut()?.sync_result.as_mut()?.resources))
}

/// Whether a result says only that all went as it should.
fn is_expected(result: &ResourceResult) -> bool {
    use ithaca_api::ResultCode::{Pruned, Synced};
    result.hook_type.is_empty() && matches!(result.status, Some(Synced | Pruned))
}

fn images_and_messages(status: &mut ApplicationStatus) {
    for result in results_mut(status).into_iter().flatten().filter(|result| is_expected(result)) {
        result.images = Vec::new();
        result.message = String::new();
    }
}

fn results_as_expected(status: &mut ApplicationStatus) {
    if let Some(results) = results_mut(status) {
        results.retain(|result| !is_expected(result));
    }
}

fn resources_as_expected(status: &mut ApplicationStatus) {
    let mut kinds = HashSet::new();
    Arc::make_mut(&mut status.resources)
        .retain(|resource| is_first(&mut kinds, resource) || !is_well(resource));
}

fn long_messages(status: &mut ApplicationStatus) {
    status.summary.images.truncate(FEWER[0]);
    status.summary.external_urls.truncate(FEWER[0]);
    for result in results_mut(status).into_iter().flatten() {
        result.images = Vec::new();
        shorten(&mut result.message);
    }
    for health in Arc::make_mut(&mut status.resources).iter_mut().filter_map(|one| one.health.as_mut()) {
        shorten(&mut health.message);
    }
    status.conditions.iter_mut().for_each(|condition| shorten(&mut condition.message));
    status.operation_state.iter_mut().for_each(|state| shorten(&mut state.message));
}

fn shorten(message: &mut String) {
    if let Some((end, _)) = message.char_indices().nth(SHORT) {
        message.truncate(end);
        message.push('…');
    }
}

fn keep_some(status: &mut ApplicationStatus, most: usize) {
    if let Some(results) = results_mut(status) {
        let mut places = 0..most;
        // What became of a hook is known from here alone once its object is gone.
        results.retain(|result| !result.hook_type.is_empty() || places.next().is_some());
    }
    let (mut kinds, mut places) = (HashSet::new(), 0..most);
    Arc::make_mut(&mut status.resources)
        .retain(|resource| is_first(&mut kinds, resource) || places.next().is_some());
}

fn is_first(kinds: &mut HashSet<(String, String)>, resource: &ResourceStatus) -> bool {
    kinds.insert((resource.group.clone(), resource.kind.clone()))
}

fn is_well(resource: &ResourceStatus) -> bool {
    let health = resource.health.as_ref().and_then(|health| health.status);
    resource.status == Some(SyncStatusCode::Synced)
        && health.is_none_or(|health| health == HealthStatusCode::Healthy)
}

#[cfg(test)]
mod tests {
    use ithaca_api::{
        ApplicationSource, Operation, OperationPhase, ResultCode, Time,
        status::{OperationState, SyncOperationResult},
    };

    use serde_json::json;

    use super::*;

    fn status(objects: usize) -> ApplicationStatus {
        let name = |number: usize| format!("an-object-with-a-rather-long-name-{number}");
        let resource = |number| ResourceStatus {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: "a-namespace".to_owned(),
            name: name(number),
            status: Some(if number == 7 { SyncStatusCode::OutOfSync } else { SyncStatusCode::Synced }),
            ..ResourceStatus::default()
        };
        let result = |number| ResourceResult {
            kind: "Deployment".to_owned(),
            name: name(number),
            status: Some(if number == 7 { ResultCode::SyncFailed } else { ResultCode::Synced }),
            message: format!("deployment.apps/{} serverside-applied", name(number)),
            images: vec!["registry.example.com/team/image:1.2.3".to_owned()],
            ..ResourceResult::default()
        };
        let results = SyncOperationResult {
            resources: Arc::new((0..objects).map(result).collect()),
            ..Default::default()
        };
        ApplicationStatus {
            resources: Arc::new((0..objects).map(resource).collect()),
            operation_state: Some(OperationState {
                operation: Operation::default(),
                phase: OperationPhase::Failed,
                message: String::new(),
                sync_result: Some(results),
                started_at: Time::from_timestamp(jiff::Timestamp::UNIX_EPOCH),
                finished_at: None,
                retry_count: 0,
            }),
            ..ApplicationStatus::default()
        }
    }

    #[test]
    fn a_status_of_any_number_of_objects_fits_and_keeps_what_is_wrong() {
        for objects in [10, 1_000, 3_000, 30_000] {
            let mut status = status(objects);
            fit(&mut status, &ApplicationSpec::default());
            let size = serde_json::to_vec(&status).expect("JSON").len();
            assert!(size <= LIMIT, "{objects} objects take {size} bytes");
            let failed = results(&status).into_iter().flatten().filter(|result| !is_expected(result)).count();
            let differs = status.resources.iter().filter(|resource| !is_well(resource)).count();
            assert_eq!((failed, differs), (1, 1), "{objects} objects");
        }
    }

    /// A webhook that rejects everything, or a namespace that is not there.
    #[test]
    fn a_status_in_which_everything_failed_fits_and_tells_of_some() {
        for objects in [1_000, 3_000, 30_000] {
            let mut status = status(objects);
            for result in results_mut(&mut status).into_iter().flatten() {
                (result.status, result.message) =
                    (Some(ResultCode::SyncFailed), "denied \"so\" ".repeat(100));
            }
            for resource in Arc::make_mut(&mut status.resources) {
                resource.status = Some(SyncStatusCode::OutOfSync);
            }
            if let Some(last) = results_mut(&mut status).and_then(|results| results.last_mut()) {
                last.hook_type = "PreSync".to_owned();
            }
            Arc::make_mut(&mut status.resources)[objects - 1].kind = "Last".to_owned();
            fit(&mut status, &ApplicationSpec::default());
            let size = serde_json::to_vec(&status).expect("JSON").len();
            assert!(size <= LIMIT, "{objects} objects take {size} bytes");
            assert!(results(&status).map_or(0, Vec::len) >= 100);
            assert!(status.resources.iter().any(|resource| resource.kind == "Last"), "every kind stays");
            let hooks = results(&status).into_iter().flatten().filter(|result| result.hook_type == "PreSync");
            assert_eq!(hooks.count(), 1, "no hook runs twice");
        }
    }

    #[test]
    fn what_is_not_looked_at_would_have_fitted() {
        for objects in [1, 500, 700] {
            let mut status = status(objects);
            for result in results_mut(&mut status).into_iter().flatten() {
                result.message = "\u{1}".repeat(60);
            }
            assert!(estimate(&status) >= LIMIT || bytes(&status) <= LIMIT, "{objects} objects");
        }
    }

    #[test]
    fn a_small_status_is_left_as_it_is() {
        let (mut fitted, whole) = (status(700), status(700));
        fit(&mut fitted, &ApplicationSpec::default());
        assert_eq!(fitted, whole);
    }

    /// Values that are written into the Application are in every copy of its source.
    #[test]
    fn a_spec_of_any_length_leaves_room_for_its_status() {
        for (length, deployments, is_compared) in [
            (1_000, 10, true),
            (60_000, 6, true),
            (200_000, 1, true),
            (700_000, 0, false),
            (1_150_000, 0, false),
        ] {
            let source: ApplicationSource =
                serde_json::from_value(json!({"repoURL": "r", "helm": {"values": "v".repeat(length)}}))
                    .expect("a source");
            let spec = ApplicationSpec { source: Some(source.clone()), ..ApplicationSpec::default() };
            let mut status = status(1_000);
            let deployment =
                |id: i64| json!({"id": id, "deployedAt": "2026-01-01T00:00:00Z", "source": source});
            let history: Vec<_> = (0..10).map(deployment).collect();
            status.history = serde_json::from_value(json!(history)).expect("a history");
            let compared = json!({"status": "Synced", "comparedTo": {"source": source, "destination": {}}});
            status.sync = serde_json::from_value(compared).expect("what was compared");
            fit(&mut status, &spec);
            let together = bytes(&spec) + bytes(&status);
            assert!(together <= ROOM, "{together} bytes with values of {length}");
            let told = status.sync.as_ref().is_some_and(|sync| sync.compared_to.is_some());
            assert_eq!((status.history.len(), told), (deployments, is_compared), "values of {length}");
            assert!(status.history.last().is_none_or(|newest| newest.id == 9));
        }
    }
}
