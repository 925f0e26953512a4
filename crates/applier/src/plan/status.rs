//! The status of an Application, from what was compared and what is under way.
//!
//! What comes in: the view, a comparison, the operation. What goes out: the whole status as it should be, and the
//! merge patch that makes it so. Times move only where something else does.

use ithaca_api::{
    Application, ApplicationStatus, ConditionType, OperationPhase, SyncStatusCode, Time, annotation,
    status::{ComparedTo, Condition, HealthStatus, OperationState, RevisionHistory, Summary, SyncStatus},
    sync_options::{self, Place},
};
use jiff::Timestamp;

use super::{
    comparison::Comparison,
    decide::{self, View},
    deletion,
    patch::Patch,
    run::{Run, Strayed},
    size,
};
use crate::{bundle::Bundle, live::Verdict, orphans::Orphaned};

/// Objects, and fields of each, that warnings tell of: people read the first few, and statuses have a size limit.
const MOST_TOLD: usize = 20;

/// How far the operation is.
#[derive(Clone, Copy)]
pub enum Progress<'a> {
    /// There is none.
    Rest,
    /// It is under way.
    Running(&'a Run, &'a str),
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
            Self::Rest | Self::Ended(..) => return None,
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
    status.conditions = conditions(bundle, comparison, view, sync_error.or(failing.as_deref()));
    if let Progress::Running(run, _) = progress {
        status.conditions.extend(held_prunes(run, comparison));
    }
    status.conditions.sort_by(|a, b| (a.type_, &a.message).cmp(&(b.type_, &b.message)));
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
    status.conditions = failure_condition(bundle).into_iter().collect();
    let healthy =
        HealthStatus { status: Some(ithaca_api::HealthStatusCode::Healthy), ..HealthStatus::default() };
    status.health = Some(status.health.unwrap_or(healthy));
    finish(view, status, answers_refresh(view, bundle), Progress::Rest)
}

/// The status with nothing new but one condition.
pub fn told(view: View<'_>, type_: ConditionType, reason: &str) -> Change {
    let mut status = view.application.status.clone().unwrap_or_default();
    status.conditions = vec![condition(type_, reason.to_owned())];
    finish(view, status, false, Progress::Rest)
}

/// The status where the application cannot be compared with its cluster at all.
pub fn stuck(view: View<'_>, type_: ConditionType, reason: &str) -> Change {
    let mut status = view.application.status.clone().unwrap_or_default();
    status.conditions = vec![condition(type_, reason.to_owned())];
    status.sync = Some(SyncStatus { status: SyncStatusCode::Unknown, ..status.sync.unwrap_or_default() });
    if type_ == ConditionType::InvalidSpecError {
        let unknown = Some(ithaca_api::HealthStatusCode::Unknown);
        status.health = Some(HealthStatus { status: unknown, ..HealthStatus::default() });
    }
    finish(view, status, view.tracked.is_some_and(|bundle| answers_refresh(view, bundle)), Progress::Rest)
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
    size::fit(&mut status);
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

/// A deployment for the history.
fn remember(status: &mut ApplicationStatus, run: &Run, now: Time, limit: usize) {
    let result = run.result();
    let id = status.history.last().map_or(0, |last| last.id + 1);
    status.history.push(RevisionHistory {
        revision: result.revision,
        revisions: result.revisions,
        source: result.source,
        sources: result.sources,
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
            source: if several { None } else { spec.sources().first().cloned() },
            sources: if several { spec.sources().to_vec() } else { Vec::new() },
            destination: spec.destination.clone(),
            ignore_differences: spec.ignore_differences.clone(),
        }),
    }
}

fn conditions(
    bundle: &Bundle,
    comparison: &Comparison,
    view: View<'_>,
    sync_error: Option<&str>,
) -> Vec<Condition> {
    let assembly = &bundle.assembly;
    let mut conditions: Vec<Condition> = failure_condition(bundle).into_iter().collect();
    conditions.extend(
        assembly.invalid.iter().map(|reason| condition(ConditionType::InvalidSpecError, reason.clone())),
    );
    let unknown = assembly.unknown.iter().map(|(key, reason)| format!("{key}: {reason}"));
    let errors = sync_error.map(str::to_owned).into_iter().chain(unknown.filter(|_| sync_error.is_none()));
    let errors: Vec<String> = errors.collect();
    let fails = !errors.is_empty();
    conditions.extend(errors.into_iter().map(|message| condition(ConditionType::SyncError, message)));
    conditions.extend(assembly.repeated.iter().map(|key| {
        condition(
            ConditionType::RepeatedResourceWarning,
            format!(
                "Resource {key} appeared more than once among application resources; the last one counts."
            ),
        )
    }));
    conditions.extend(excluded(bundle));
    let of_spec = sync_options::unsupported(view.application.spec.sync_options(), Place::Application);
    let of_spec = of_spec.into_iter().map(|reason| format!("spec.syncPolicy.syncOptions: {reason}"));
    let of_annotations = view.application.metadata.annotations.as_ref().map(annotation::unreadable);
    let of_annotations = of_annotations.into_iter().flatten();
    let unsupported = assembly.unsupported.iter().cloned().chain(of_spec).chain(of_annotations);
    conditions.extend(unsupported.map(|message| condition(ConditionType::UnsupportedWarning, message)));
    conditions.extend(rejected(bundle, comparison, view).filter(|_| !fails));
    conditions.extend(shared(comparison, view));
    conditions.extend(unknown_fields(bundle, view));
    conditions.extend(view.held.map(|(type_, reason)| condition(type_, reason.to_owned())));
    conditions.extend(orphaned(view));
    conditions
}

/// What would go and waits for somebody's word.
fn held_prunes(run: &Run, comparison: &Comparison) -> Option<Condition> {
    let held = run.tasks.iter().filter(|task| task.confirm && task.outcome.is_none()).map(|task| &task.key);
    let held: Vec<_> = held.collect();
    if held.is_empty() || !comparison.guarded {
        return None;
    }
    let message = format!(
        "{} of {} objects would be deleted: {}. If that is meant, annotate the Application with {}=<the time now, RFC 3339>; if not, revert the commit",
        held.len(),
        comparison.live,
        deletion::named(&held),
        annotation::DELETION_APPROVED
    );
    Some(condition(ConditionType::PruneHeldWarning, message))
}

/// Objects that the API server would not take as they are wanted.
fn rejected<'a>(
    bundle: &'a Bundle,
    comparison: &'a Comparison,
    view: View<'a>,
) -> impl Iterator<Item = Condition> + 'a {
    let objects = comparison.out_of_sync.iter().filter_map(|place| bundle.assembly.objects.get(*place));
    objects.filter_map(move |desired| {
        let Verdict::OutOfSync(drift) = &view.records.get(&desired.key)?.verdict else { return None };
        let reason = drift.rejected.as_ref()?;
        let message = format!("failed to compare {} with what Git wants: {reason}", desired.key);
        Some(condition(ConditionType::ComparisonError, message))
    })
}

/// Objects of kinds that the installation does not manage.
fn excluded(bundle: &Bundle) -> impl Iterator<Item = Condition> + '_ {
    bundle.assembly.excluded.iter().take(MOST_TOLD).map(|key| {
        let message = format!("Resource {}/{} {} is excluded in the settings", key.group, key.kind, key.name);
        condition(ConditionType::ExcludedResourceWarning, message)
    })
}

/// Objects that carry another application's tracking id.
fn shared<'a>(comparison: &'a Comparison, view: View<'a>) -> impl Iterator<Item = Condition> + 'a {
    comparison.shared.iter().map(move |(key, other)| {
        let message = format!("{key} is part of applications {} and {other}", view.owner.instance);
        condition(ConditionType::SharedResourceWarning, message)
    })
}

/// Objects with fields that the cluster's schema does not know.
fn unknown_fields(bundle: &Bundle, view: View<'_>) -> Vec<Condition> {
    let objects = bundle.assembly.objects.iter();
    let all =
        objects.filter_map(|desired| Some((&desired.key, view.records.get(&desired.key)?.unknown.as_ref()?)));
    let told = all.take(MOST_TOLD).map(|(key, fields)| {
        let fields = fields.iter().take(MOST_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
        let message = format!(
            "{key} has fields that the cluster does not know and drops: {fields}; check their spelling"
        );
        condition(ConditionType::UnknownFieldWarning, message)
    });
    told.collect()
}

/// Objects that no application manages. While they are being counted, what was told before stays.
fn orphaned(view: View<'_>) -> Option<Condition> {
    let type_ = ConditionType::OrphanedResourceWarning;
    match view.orphaned {
        Orphaned::None => None,
        Orphaned::Some(count) => {
            Some(condition(type_, format!("Application has {count} orphaned resources")))
        }
        Orphaned::Unknown => {
            let told =
                view.application.status.as_ref()?.conditions.iter().find(|told| told.type_ == type_)?;
            Some(condition(type_, told.message.clone()))
        }
    }
}

fn failure_condition(bundle: &Bundle) -> Option<Condition> {
    let failure = bundle.failure.as_ref()?;
    let type_ =
        if failure.invalid_spec { ConditionType::InvalidSpecError } else { ConditionType::ComparisonError };
    Some(condition(type_, failure.message.clone()))
}

fn condition(type_: ConditionType, message: String) -> Condition {
    Condition { type_, message, last_transition_time: None }
}

fn summary(bundle: &Bundle) -> Summary {
    let objects = &bundle.assembly.objects;
    let mut images: Vec<String> = objects.iter().flat_map(|desired| desired.images.iter().cloned()).collect();
    images.sort();
    images.dedup();
    let is_application =
        |key: &crate::object::ObjectKey| &*key.group == ithaca_api::GROUP && &*key.kind == "Application";
    let is_app_of_apps = objects.iter().any(|desired| is_application(&desired.key));
    Summary { images, is_app_of_apps, ..Summary::default() }
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
