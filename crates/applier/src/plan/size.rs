//! Keeps a status within what the API server's store takes.
//!
//! What comes in: a whole status. What goes out: the same, or with the least interesting left out. What failed, what
//! differs, hooks, and one object of each kind always stay: the kinds are the inventory that a deletion starts from.

use std::{collections::HashSet, sync::Arc};

use ithaca_api::{
    ApplicationStatus, HealthStatusCode, SyncStatusCode,
    status::{ResourceResult, ResourceStatus},
};

/// Bytes of JSON that a status may have. etcd takes objects of 1.5 MiB; the spec, the history and managedFields are
/// in there as well.
const LIMIT: usize = 900_000;

/// Entries of a status that cannot be too large, so that small ones cost nothing.
const SMALL: usize = 1_500;

/// Leaves out what is least interesting until the status fits.
pub(super) fn fit(status: &mut ApplicationStatus) {
    if entries(status) < SMALL {
        return;
    }
    for leave_out in [images_and_messages, results_as_expected, resources_as_expected] {
        if serde_json::to_vec(&*status).is_ok_and(|json| json.len() <= LIMIT) {
            return;
        }
        leave_out(status);
    }
}

fn entries(status: &ApplicationStatus) -> usize {
    status.resources.len() + results(status).map_or(0, Vec::len)
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
    Arc::make_mut(&mut status.resources).retain(|resource| {
        let first = kinds.insert((resource.group.clone(), resource.kind.clone()));
        first || !is_well(resource)
    });
}

fn is_well(resource: &ResourceStatus) -> bool {
    let health = resource.health.as_ref().and_then(|health| health.status);
    resource.status == Some(SyncStatusCode::Synced)
        && health.is_none_or(|health| health == HealthStatusCode::Healthy)
}

#[cfg(test)]
mod tests {
    use ithaca_api::{
        Operation, OperationPhase, ResultCode, Time,
        status::{OperationState, SyncOperationResult},
    };

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
            fit(&mut status);
            let size = serde_json::to_vec(&status).expect("JSON").len();
            assert!(size <= LIMIT, "{objects} objects take {size} bytes");
            let failed = results(&status).into_iter().flatten().filter(|result| !is_expected(result)).count();
            let differs = status.resources.iter().filter(|resource| !is_well(resource)).count();
            assert_eq!((failed, differs), (1, 1), "{objects} objects");
        }
    }

    #[test]
    fn a_small_status_is_left_as_it_is() {
        let (mut fitted, whole) = (status(700), status(700));
        fit(&mut fitted);
        assert_eq!(fitted, whole);
    }
}
