//! The status of an Application, from what was compared and what is under way.
//!
//! What comes in: the view, a comparison, the operation. What goes out: the whole status as it should be, and the
//! merge patch that makes it so. Times move only where something else does.

use std::collections::BTreeSet;

use ithaca_api::{
    Application, ApplicationSource, ApplicationStatus, ConditionType, OperationPhase, SyncStatusCode, Time,
    status::{ComparedTo, HealthStatus, OperationState, RevisionHistory, Summary, SyncStatus},
};
use jiff::Timestamp;

use super::{
    comparison::Comparison,
    conditions, decide,
    patch::Patch,
    run::{Run, Strayed},
    size,
    view::View,
};
use crate::{bundle::Bundle, desired::Desired, object::ObjectKey};

/// How far the operation is.
#[derive(Clone, Copy)]
pub enum Progress<'a> {
    /// There is none.
    Rest,
    /// It is under way.
    Running(&'a Run, &'a str),
    /// Somebody stops it, and it waits for this before it makes anew what it deleted.
    Stopping(&'a Run, &'a str),
    /// Its next attempt is then.
    Waiting(&'a Run, Timestamp),
    /// It ended.
    Ended(&'a Run, OperationPhase, &'a str),
}

impl Progress<'_> {
    /// Why the operation has not succeeded so far, where another attempt follows.
    fn failure(self) -> Option<String> {
        let run = match self {
            Self::Running(run, _) | Self::Waiting(run, _) => run,
            Self::Rest | Self::Stopping(..) | Self::Ended(..) => return None,
        };
        let reason = run.failure.as_ref()?;
        Some(format!("Failed last sync attempt to [{}]: {reason}", run.bundle.revisions().join(", ")))
    }
}

/// What is to be written on an Application.
#[derive(Debug)]
pub struct Change {
    /// The status as it should be.
    pub status: ApplicationStatus,
    /// `operation` is done with.
    pub clears_operation: bool,
    /// The refresh that was asked for is done.
    pub clears_refresh: bool,
    /// The operation under way has ended.
    pub ends_run: bool,
    /// The operation under way is told of.
    pub announces_run: bool,
    /// Something waits for it to be written.
    pub is_pressing: bool,
    /// Objects that left the wanted state and are not put right.
    pub drift: Strayed,
}

impl Change {
    /// Whether the Application says all this already.
    pub fn is_nothing(&self, application: &Application) -> bool {
        !self.ends_run
            && !self.clears_operation
            && !self.clears_refresh
            && application.status.as_ref() == Some(&self.status)
    }

    /// What has to be sent to make the Application say so.
    pub fn patch(&self, application: &Application) -> Patch<'_> {
        Patch::new(application, self)
    }

    /// The Application as it is once the change is written.
    pub fn applied_to(&self, application: Application) -> Application {
        let operation = application.operation.filter(|_| !self.clears_operation);
        Application { operation, status: Some(self.status.clone()), ..application }
    }
}

/// The status after a comparison. `sync_error` is why automation gave up.
pub fn compared(
    view: View<'_>,
    bundle: &Bundle,
    comparison: &Comparison,
    progress: Progress<'_>,
    sync_error: Option<&str>,
) -> Change {
    let mut status = view.application.status.clone().unwrap_or_default();
    let code = if bundle.failure.is_some() { SyncStatusCode::Unknown } else { comparison.status() };
    status.sync = Some(sync_status(view.application, bundle, code));
    status.resources = comparison.resources.clone();
    status.health = Some(HealthStatus { status: Some(comparison.health), ..HealthStatus::default() });
    let failing = progress.failure();
    let running = if let Progress::Running(run, _) = progress { Some(run) } else { None };
    let sync_error = sync_error.or(failing.as_deref());
    status.conditions = conditions::conditions(bundle, comparison, view, sync_error, running);
    status.source_type = None;
    status.source_types = Vec::new();
    let types: Vec<_> = bundle.sources.iter().filter_map(|source| source.source_type).collect();
    match view.application.spec.has_multiple_sources() {
        true => status.source_types = types,
        false => status.source_type = types.first().copied(),
    }
    status.summary = summary(bundle);
    let strayed = matches!(progress, Progress::Rest) && strayed(view.application, &status);
    let mut change = finish(view, status, answers_refresh(view, bundle), progress);
    if strayed {
        change.drift = decide::drift(bundle, comparison, view.records);
    }
    change
}

/// Whether the cluster left the state of a revision that it had.
fn strayed(application: &Application, status: &ApplicationStatus) -> bool {
    let before = application.status.as_ref().and_then(|status| status.sync.as_ref());
    let (Some(before), Some(now)) = (before, status.sync.as_ref()) else { return false };
    let same = before.revision == now.revision && before.revisions == now.revisions;
    same && before.status == SyncStatusCode::Synced && now.status == SyncStatusCode::OutOfSync
}

/// Whether the bundle answers a refresh that none before it answered.
fn answers_refresh(view: View<'_>, bundle: &Bundle) -> bool {
    bundle.refresh && bundle.observed_at > view.refreshed
}

/// The status where nothing was ever rendered: what is wrong, and nothing about objects.
pub fn failed(view: View<'_>, bundle: &Bundle) -> Change {
    let mut status = view.application.status.clone().unwrap_or_default();
    status.sync = Some(sync_status(view.application, bundle, SyncStatusCode::Unknown));
    status.conditions = conditions::without_content(bundle, view);
    let healthy =
        HealthStatus { status: Some(ithaca_api::HealthStatusCode::Healthy), ..HealthStatus::default() };
    status.health = Some(status.health.unwrap_or(healthy));
    interrupted(view, status, answers_refresh(view, bundle), bundle.why_empty())
}

/// The status with nothing new but one condition.
pub fn told(view: View<'_>, type_: ConditionType, reason: &str) -> Change {
    let mut status = view.application.status.clone().unwrap_or_default();
    status.conditions = conditions::only(view, type_, reason);
    finish(view, status, false, Progress::Rest)
}

/// The status without the conditions of a type.
pub fn without(view: View<'_>, type_: ConditionType) -> Change {
    let mut status = view.application.status.clone().unwrap_or_default();
    status.conditions.retain(|condition| condition.type_ != type_);
    finish(view, status, false, Progress::Rest)
}

/// The status where the application cannot be compared with its cluster at all.
pub fn stuck(view: View<'_>, type_: ConditionType, reason: &str) -> Change {
    let mut status = view.application.status.clone().unwrap_or_default();
    status.conditions = conditions::only(view, type_, reason);
    status.sync = Some(SyncStatus { status: SyncStatusCode::Unknown, ..status.sync.unwrap_or_default() });
    if type_ == ConditionType::InvalidSpecError {
        let unknown = Some(ithaca_api::HealthStatusCode::Unknown);
        status.health = Some(HealthStatus { status: unknown, ..HealthStatus::default() });
    }
    interrupted(view, status, view.tracked.is_some_and(|bundle| answers_refresh(view, bundle)), reason)
}

/// The status while nothing can be decided. An operation that was asked for ends with the reason; one that is under way
/// tells it and goes on later, unless it is to end.
fn interrupted(view: View<'_>, mut status: ApplicationStatus, refreshed: bool, reason: &str) -> Change {
    let asked = view.application.operation.as_ref();
    let now = Time::from_timestamp(view.now);
    let mut ends = false;
    match status.operation_state.as_mut().filter(|state| !state.phase.is_completed()) {
        Some(state) if state.phase == OperationPhase::Terminating => {
            (state.phase, state.finished_at) = (OperationPhase::Failed, Some(now));
            "Operation terminated".clone_into(&mut state.message);
            ends = true;
        }
        Some(state) => state.message = format!("waiting: {reason}"),
        None => {
            let failed = asked.filter(|asked| !asked.initiated_by.automated).map(|asked| OperationState {
                operation: asked.clone(),
                phase: OperationPhase::Error,
                message: reason.to_owned(),
                sync_result: None,
                started_at: now,
                finished_at: Some(now),
                retry_count: 0,
            });
            ends = failed.is_some();
            status.operation_state = failed.or(status.operation_state.take());
        }
    }
    let ended = status.operation_state.as_ref().filter(|_| ends);
    let clears_operation = asked.is_some_and(|asked| ended.is_some_and(|state| state.operation == *asked));
    let change = finish(view, status, refreshed, Progress::Rest);
    Change { clears_operation, ends_run: ends && view.run.is_some(), is_pressing: ends, ..change }
}

/// Adds the operation, keeps the times of what did not change, and moves reconciledAt where anything did.
fn finish(view: View<'_>, mut status: ApplicationStatus, refreshed: bool, progress: Progress<'_>) -> Change {
    let now = Time::from_timestamp(view.now);
    let before = view.application.status.clone().unwrap_or_default();
    match progress {
        Progress::Rest => {}
        Progress::Running(run, message) => {
            status.operation_state = Some(state(run, OperationPhase::Running, message, None))
        }
        Progress::Stopping(run, message) => {
            let message = format!("{message}, to make it anew before the operation ends");
            status.operation_state = Some(state(run, OperationPhase::Terminating, &message, None));
        }
        Progress::Waiting(run, at) => {
            let message = waiting_message(run, at);
            let failed = run.failed_at.map(Time::from_timestamp);
            status.operation_state = Some(state(run, OperationPhase::Running, &message, failed));
        }
        Progress::Ended(run, phase, message) => {
            let message = with_retries(message, run.retries);
            status.operation_state = Some(state(run, phase, &message, Some(now)));
            if phase == OperationPhase::Succeeded && !run.is_dry() && !run.is_selective() {
                remember(&mut status, run, now, view.application.spec.revision_history_limit());
            }
        }
    }
    size::fit(&mut status, &view.application.spec);
    keep_times(&mut status, &before, now);
    status.controller_namespace = view.control_plane.to_owned();
    if status != before {
        status.reconciled_at = Some(now);
    }
    let annotations = view.application.metadata.annotations.as_ref();
    let asked =
        annotations.is_some_and(|annotations| annotations.contains_key(ithaca_api::annotation::REFRESH));
    let ends_run = matches!(progress, Progress::Ended(..));
    let own = matches!(progress, Progress::Ended(run, ..) if view.application.operation.as_ref() == Some(&run.operation));
    Change {
        status,
        clears_operation: own,
        clears_refresh: asked && refreshed,
        ends_run,
        announces_run: !matches!(progress, Progress::Rest),
        is_pressing: ends_run || own || matches!(progress, Progress::Running(run, _) if !run.announced),
        drift: Strayed::new(),
    }
}

fn state(run: &Run, phase: OperationPhase, message: &str, finished: Option<Time>) -> OperationState {
    OperationState {
        operation: run.operation.clone(),
        phase,
        message: message.to_owned(),
        sync_result: Some(run.result()),
        started_at: Time::from_timestamp(run.started_at),
        finished_at: finished,
        retry_count: run.retries,
    }
}

fn waiting_message(run: &Run, at: Timestamp) -> String {
    let message = run.failure.as_deref().unwrap_or_default();
    let attempt = run.retries + 1;
    with_retries(
        &format!("{message}. Retrying attempt #{attempt} at {}", Time::from_timestamp(at)),
        run.retries,
    )
}

fn with_retries(message: &str, retries: i64) -> String {
    if retries > 0 { format!("{message} (retried {retries} times).") } else { message.to_owned() }
}

/// The deployment that the status tells of, for the history.
fn remember(status: &mut ApplicationStatus, run: &Run, now: Time, limit: usize) {
    let state = status.operation_state.as_ref();
    let Some(result) = state.and_then(|state| state.sync_result.as_ref()) else { return };
    let id = status.history.last().map_or(0, |last| last.id + 1);
    status.history.push(RevisionHistory {
        revision: result.revision.clone(),
        revisions: result.revisions.clone(),
        source: result.source.clone(),
        sources: result.sources.clone(),
        deployed_at: now,
        deploy_started_at: Some(Time::from_timestamp(run.started_at)),
        id,
        initiated_by: run.operation.initiated_by.clone(),
    });
    let surplus = status.history.len().saturating_sub(limit);
    status.history.drain(..surplus);
}

fn sync_status(application: &Application, bundle: &Bundle, code: SyncStatusCode) -> SyncStatus {
    let spec = &application.spec;
    let several = spec.has_multiple_sources();
    let mut revisions = bundle.revisions();
    SyncStatus {
        status: code,
        revision: if several { String::new() } else { revisions.pop().unwrap_or_default() },
        revisions: if several { revisions } else { Vec::new() },
        compared_to: Some(ComparedTo {
            source: if several { None } else { spec.sources().first().map(ApplicationSource::shown) },
            sources: if several {
                spec.sources().iter().map(ApplicationSource::shown).collect()
            } else {
                Vec::new()
            },
            destination: spec.destination.clone(),
            ignore_differences: spec.ignore_differences.clone(),
        }),
    }
}

fn summary(bundle: &Bundle) -> Summary {
    let objects = &bundle.assembly.objects;
    let all = |of: fn(&Desired) -> &Vec<String>| -> Vec<String> {
        let all: BTreeSet<_> = objects.iter().flat_map(|desired| of(desired)).collect();
        all.into_iter().cloned().collect()
    };
    let is_application = |key: &ObjectKey| &*key.group == ithaca_api::GROUP && &*key.kind == "Application";
    Summary {
        images: all(|desired| &desired.images),
        external_urls: all(|desired| &desired.links),
        is_app_of_apps: objects.iter().any(|desired| is_application(&desired.key)),
    }
}

/// What did not change keeps its time.
fn keep_times(status: &mut ApplicationStatus, before: &ApplicationStatus, now: Time) {
    for condition in &mut status.conditions {
        let known =
            before.conditions.iter().find(|b| b.type_ == condition.type_ && b.message == condition.message);
        condition.last_transition_time = known.map_or(Some(now), |known| known.last_transition_time);
    }
    if let Some(health) = &mut status.health {
        let known = before.health.as_ref().filter(|before| before.status == health.status);
        health.last_transition_time = known.map_or(Some(now), |known| known.last_transition_time);
    }
}
