//! The next thing to do for an application.
//!
//! What comes in: all that is known. What goes out: one action. It reads as the life of an application:
//! deleted, invalid, unknown, under way, asked for, out of sync, at rest.

use std::sync::Arc;

use ithaca_api::{
    Application, ConditionType, Operation, OperationPhase, annotation, operation_request_key,
    status::{OperationState, one_or_several},
    sync_options::Propagation,
};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{
    application_set::ApplicationSet,
    autosync::{AutoSync, auto_sync},
    comparison::Comparison,
    deletion, dependencies, destination,
    permission::{self, Hold},
    run::{Effect, Next, Outcome, Run, Strayed},
    status::{self, Change, Progress},
    view::View,
};
use crate::{
    bundle::Bundle,
    desired::Desired,
    live::{Records, Verdict},
    object::{GroupKind, Kind, ObjectKey},
};

/// How long an operation waits for its repository to be looked at: who looks may be away, and then what is known serves.
const LOOK: SignedDuration = SignedDuration::from_mins(1);

/// The next thing to do.
#[derive(Debug)]
pub enum Action {
    /// Nothing until something changes, or until then.
    Idle(Option<Timestamp>),
    /// These kinds have to be watched first.
    Watch(Vec<Kind>),
    /// The API server has to judge these.
    Inspect(Vec<Arc<Desired>>),
    /// An operation begins.
    Begin(Box<Run>),
    /// The API server is asked about the objects of the tasks at these places.
    Rehearse(Vec<usize>),
    /// The tasks at these places.
    Perform(Vec<usize>),
    /// This became of tasks that were begun earlier.
    Conclude(Vec<(usize, Outcome)>),
    /// The finalizer of these hooks goes.
    LetGo(Vec<ObjectKey>),
    /// The objects of these hooks are deleted.
    Discard(Vec<ObjectKey>),
    /// The operation under way waits, and is taken up again as if by another life of the applier.
    SetAside,
    /// The attempt failed for this reason, and another will follow.
    Postpone(String),
    /// The next attempt begins.
    Again(Box<Run>),
    /// The Application is written.
    Write(Box<Change>),
    /// The API server has to say whether it has this ApplicationSet still.
    Ask(ApplicationSet),
    /// These objects are deleted with their application.
    Delete(Vec<ObjectKey>, Propagation),
    /// The Application's finalizers become these.
    Release(Vec<String>),
    /// The Application gets these finalizers as well.
    Guard(Vec<String>),
}

/// Decides.
pub fn decide(view: View<'_>) -> Action {
    let application = view.application;
    let annotations = application.metadata.annotations.as_ref();
    if annotations
        .is_some_and(|a| annotation::skips_reconcile(a.get(annotation::SKIP_RECONCILE).map(String::as_str)))
    {
        return Action::Idle(None);
    }
    if let Some(action) = destination::first(view) {
        return action;
    }
    let fault = view.owner.rules.fault.as_deref();
    if application.metadata.deletion_timestamp.is_some() {
        return fault.map_or_else(|| deletion::decide(view), |fault| deletion::undeleted(view, fault));
    }
    if let Some(fault) = fault {
        return write_or(view, status::stuck(view, ConditionType::ComparisonError, fault), None);
    }
    if let Some(reason) = permission::refusal(view) {
        return write_or(view, status::stuck(view, ConditionType::InvalidSpecError, &reason), None);
    }
    let Some(bundle) = view.tracked else { return Action::Idle(None) };
    if bundle.failure.is_none() && is_of_another_spec(bundle, application) {
        return Action::Idle(None);
    }
    if !bundle.has_content() {
        return write_or(view, status::failed(view, bundle), None);
    }
    if let Some(action) = destination::refusal(view, bundle) {
        return action;
    }
    if let Some(action) = watch_first(view, bundle) {
        return action;
    }
    if let Some(fault) = bundle.assembly.ignored.as_ref().and_then(|ignored| ignored.fault()) {
        let type_ =
            if fault.invalid_spec { ConditionType::InvalidSpecError } else { ConditionType::ComparisonError };
        return write_or(view, status::stuck(view, type_, &fault.message), None);
    }
    match view.run {
        Some(run) => follow(view, run, bundle),
        None => rest(view, bundle),
    }
}

/// Without an operation under way: whether one begins, and what the status is.
fn rest(view: View<'_>, bundle: &Arc<Bundle>) -> Action {
    let comparison = view.compare(bundle);
    if let Some(action) = asked_for(view, bundle, &comparison) {
        return action;
    }
    if !comparison.held.is_empty() {
        return Action::LetGo(comparison.held);
    }
    if let Some(action) = deletion::guard(view, bundle) {
        return action;
    }
    if let Some(reason) = dependencies::blocked(view, bundle) {
        return rest_held(view, bundle, &comparison, (ConditionType::DependencyWarning, &reason), None);
    }
    let begin = |operation: Operation| begin(view, operation, bundle, &comparison);
    let presumed = auto_sync(view.application, bundle, &comparison, true, view.now);
    let hold = if presumed == AutoSync::No { None } else { permission::holds_automation(view) };
    if let (AutoSync::Sync(operation), None) = (presumed, &hold) {
        return Action::Begin(Box::new(begin(*operation)));
    }
    if !comparison.undecided.is_empty() {
        let undecided = comparison.undecided.iter().filter_map(|place| bundle.assembly.objects.get(*place));
        return Action::Inspect(undecided.cloned().collect());
    }
    match (auto_sync(view.application, bundle, &comparison, false, view.now), &hold) {
        (AutoSync::Sync(_) | AutoSync::Heal(_) | AutoSync::HealAt(_), Some(hold)) => {
            let reason = format!("Sync held back by sync window: {}", hold.reason);
            let why = (ConditionType::SyncWindowWarning, reason.as_str());
            rest_held(view, bundle, &comparison, why, hold.ask_again)
        }
        (AutoSync::Sync(operation), None) => Action::Begin(Box::new(begin(*operation))),
        (AutoSync::Heal(operation), None) => {
            let mut run = begin(*operation);
            run.drift = drift(bundle, &comparison, view.records);
            Action::Begin(Box::new(run))
        }
        (AutoSync::HealAt(due), None) => {
            write_or(view, status::compared(view, bundle, &comparison, Progress::Rest, None), Some(due))
        }
        (AutoSync::Refused(reason), _) => {
            write_or(view, status::compared(view, bundle, &comparison, Progress::Rest, Some(&reason)), None)
        }
        (AutoSync::No, _) => {
            write_or(view, status::compared(view, bundle, &comparison, Progress::Rest, None), None)
        }
    }
}

/// What automation would do is held back.
fn rest_held<'a>(
    view: View<'a>,
    bundle: &Bundle,
    comparison: &Comparison,
    why: (ConditionType, &'a str),
    wake: Option<Timestamp>,
) -> Action {
    let view = View { held: Some(why), ..view };
    write_or(view, status::compared(view, bundle, comparison, Progress::Rest, None), wake)
}

/// The operation that somebody asked for, or that an earlier life of the applier did not end.
fn asked_for(view: View<'_>, tracked: &Arc<Bundle>, comparison: &Comparison) -> Option<Action> {
    let state = view.application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    let unfinished = state.filter(|state| !state.phase.is_completed());
    let operation = view.application.operation.as_ref().or(unfinished.map(|state| &state.operation))?;
    let automated = operation.initiated_by.automated;
    let bundle = match operation_request_key(operation).filter(|_| !automated) {
        None => match awaits_newest(view, operation, tracked) {
            Some(until) => return Some(Action::Idle(Some(until))),
            None => tracked,
        },
        Some(key) => match view.requested.filter(|bundle| bundle.request_key == key) {
            Some(bundle) => bundle,
            None => return Some(Action::Idle(None)),
        },
    };
    let recompared = (!Arc::ptr_eq(bundle, tracked)).then(|| view.compare(bundle));
    let (tracked_comparison, comparison) = (comparison, recompared.as_ref().unwrap_or(comparison));
    let mut run = begin(view, operation.clone(), bundle, comparison);
    if let Some(state) = unfinished.filter(|state| state.operation == *operation) {
        run.resume(state, comparison, view.records);
        if is_terminating(view.application) {
            return Some(Action::Begin(Box::new(run)));
        }
        if is_at_another_revision(state, bundle) {
            let next = if automated { supersedes(view, tracked, comparison) } else { None };
            if let Some(next) = next {
                return Some(Action::Begin(Box::new(next)));
            }
            // Its hooks ran for another revision, and there is still an end to be told.
            if automated || run.has_begun_hooks() {
                run.again(bundle.clone(), comparison, view.records);
            }
        }
    }
    // What waits is not begun: when its window opens, it is planned on what is known then.
    let next = run.next(view.records, view.approval());
    let Some(hold) = blocked(view, &run, &next) else { return Some(Action::Begin(Box::new(run))) };
    let compared =
        status::compared(view, tracked, tracked_comparison, Progress::Running(&run, &hold.reason), None);
    Some(write_or(view, compared, hold.ask_again))
}

/// Whoever asks for what is tracked means the newest of it, so the repository is looked at first. Until then that is
/// waited for, unless who looks may be away.
fn awaits_newest(view: View<'_>, operation: &Operation, tracked: &Bundle) -> Option<Timestamp> {
    let until = view.asked.at.checked_add(LOOK).ok()?;
    let awaited = operation.means_newest() && !view.asked.is_answered_by(tracked);
    (awaited && view.now < until).then_some(until)
}

/// An operation that begins now.
fn begin(view: View<'_>, operation: Operation, bundle: &Arc<Bundle>, comparison: &Comparison) -> Run {
    let mut run = Run::plan(operation, bundle.clone(), comparison, view.records, view.now);
    let last = view.application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    if let Some(last) = last {
        run.begin_after(last.started_at.0, comparison, view.records);
    }
    run
}

/// What an earlier life of the applier began with is no longer the revision to run.
fn is_at_another_revision(state: &OperationState, bundle: &Bundle) -> bool {
    let result = state.sync_result.as_ref();
    result.is_some_and(|result| one_or_several(&result.revision, &result.revisions) != bundle.revisions())
}

/// With an operation under way.
fn follow(view: View<'_>, run: &Run, tracked: &Arc<Bundle>) -> Action {
    let comparison = || view.compare(tracked);
    let write = |progress: Progress<'_>, wake| {
        write_or(view, status::compared(view, tracked, &comparison(), progress, None), wake)
    };
    let stopping = is_terminating(view.application);
    if !stopping
        && !run.begun
        && let Some(reason) = dependencies::blocked(view, &run.bundle)
    {
        return write(Progress::Running(run, &reason), None);
    }
    let next = match stopping {
        true => run.stop(view.records),
        false => run.next(view.records, view.approval()),
    };
    let hold = if stopping { None } else { blocked(view, run, &next) };
    if !stopping && is_superseded(run, tracked) && (hold.is_some() || gives_way(&next, run)) {
        return supersede(view, run, tracked);
    }
    if let Some(hold) = hold {
        // When it opens, much may be different: it goes on by a plan of then, as after a restart.
        return match write(Progress::Running(run, &hold.reason), None) {
            Action::Idle(_) => Action::SetAside,
            record => record,
        };
    }
    match next {
        Next::Rehearse(tasks) => Action::Rehearse(tasks),
        Next::Perform(tasks) if stopping => Action::Perform(tasks),
        Next::Perform(tasks) => {
            match report(view, run, &tasks).map(|message| write(Progress::Running(run, &message), None)) {
                None | Some(Action::Idle(_)) => Action::Perform(tasks),
                Some(action) => action,
            }
        }
        Next::Conclude(outcomes) => Action::Conclude(outcomes),
        Next::LetGo(hooks) if stopping => Action::LetGo(hooks),
        // Without its finalizer a hook may vanish: its end is recorded first.
        Next::LetGo(hooks) => match write(Progress::Running(run, "hooks have ended"), None) {
            Action::Write(record) => Action::Write(Box::new(Change { is_pressing: true, ..*record })),
            _ => Action::LetGo(hooks),
        },
        Next::Discard(hooks) => Action::Discard(hooks),
        Next::Wait(message) if stopping => write(Progress::Stopping(run, &message), None),
        Next::Wait(message) => write(Progress::Running(run, &message), run.next_told(view.records, view.now)),
        Next::RetryAt(at) if at <= view.now => {
            let newest = run.operation.initiated_by.automated || run.operation.retry.refresh;
            let bundle = if newest { tracked } else { &run.bundle };
            again(run, bundle, &view.compare(bundle), view.records)
        }
        Next::RetryAt(at) => write(Progress::Waiting(run, at), Some(at)),
        Next::Finish(phase, reason)
            if !stopping && phase != OperationPhase::Succeeded && run.retry_at(view.now).is_some() =>
        {
            Action::Postpone(reason)
        }
        Next::Finish(phase, message) => write(Progress::Ended(run, phase, &message), None),
    }
}

/// Why an operation that has something to do may not do it now.
fn blocked(view: View<'_>, run: &Run, next: &Next) -> Option<Hold> {
    if !matches!(next, Next::Rehearse(_) | Next::Perform(_)) {
        return None;
    }
    let hold = permission::holds(view, run)?;
    Some(Hold { reason: format!("Sync operation blocked by sync window: {}", hold.reason), ..hold })
}

/// What there is to say of tasks that are about to be done: nothing where it will soon be over. Before a hook is started
/// it has to be known when the operation began.
fn report(view: View<'_>, run: &Run, tasks: &[usize]) -> Option<String> {
    let hooks = || tasks.iter().any(|place| matches!(run.tasks[*place].effect, Effect::Hook(_)));
    match &run.trouble {
        Some(trouble) => Some(trouble.clone()),
        None => (!run.announced && (lasts(run, view.now) || hooks())).then(|| "syncing".to_owned()),
    }
}

/// An automated operation that waits for something lets a newer revision pass.
fn gives_way(next: &Next, run: &Run) -> bool {
    match next {
        Next::Perform(_) => run.trouble.is_some(),
        Next::Wait(_) => !run.has_running_hook(),
        Next::Rehearse(_) | Next::RetryAt(_) => true,
        Next::Conclude(_) | Next::LetGo(_) | Next::Discard(_) => false,
        Next::Finish(phase, _) => *phase != OperationPhase::Succeeded,
    }
}

fn supersede(view: View<'_>, run: &Run, tracked: &Arc<Bundle>) -> Action {
    let comparison = view.compare(tracked);
    let next = supersedes(view, tracked, &comparison).filter(|_| run.bundle.digest != tracked.digest);
    match next {
        Some(next) => Action::Begin(Box::new(next)),
        None => again(run, tracked, &comparison, view.records),
    }
}

/// The operation that takes the place of one for an earlier revision.
fn supersedes(view: View<'_>, tracked: &Arc<Bundle>, comparison: &Comparison) -> Option<Run> {
    match auto_sync(view.application, tracked, comparison, true, view.now) {
        AutoSync::Sync(operation) => Some(begin(view, *operation, tracked, comparison)),
        _ => None,
    }
}

fn again(run: &Run, bundle: &Arc<Bundle>, comparison: &Comparison, records: &Records) -> Action {
    let mut next = run.clone();
    next.again(bundle.clone(), comparison, records);
    Action::Again(Box::new(next))
}

/// An automated operation whose revision is no longer the one to run gives way to the next. One that heals goes on with
/// what is wanted now, for the cluster may no longer serve a kind of what it heals.
fn is_superseded(run: &Run, tracked: &Bundle) -> bool {
    let automated = run.operation.initiated_by.automated && tracked.failure.is_none();
    let heals = run.is_selective() && !Arc::ptr_eq(&run.bundle.assembly, &tracked.assembly);
    automated && (run.bundle.digest != tracked.digest || heals)
}

/// Operations that end sooner are told of once, when they have ended.
fn lasts(run: &Run, now: Timestamp) -> bool {
    run.started_at.checked_add(1.second()).is_ok_and(|end| end < now)
}

fn is_terminating(application: &Application) -> bool {
    let state = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    state.is_some_and(|state| state.phase == OperationPhase::Terminating)
}

/// The kinds of what is wanted and of what was managed before have to be watched completely.
fn watch_first(view: View<'_>, bundle: &Bundle) -> Option<Action> {
    let assemblies = || view.requested.into_iter().map(|bundle| &*bundle.assembly).chain([&*bundle.assembly]);
    let wanted = assemblies().flat_map(|assembly| &assembly.objects).map(|desired| desired.kind());
    let hooks = assemblies().flat_map(|assembly| &assembly.hooks).map(|hook| hook.manifest.kind());
    watch_kinds(wanted.chain(hooks).chain(deletion::inventory(view.application)), view)
}

/// Which of these kinds are to be watched, or a pause until those that are watched are known completely. A kind that
/// the API server does not let us list is told of.
pub(super) fn watch_kinds(kinds: impl Iterator<Item = Kind>, view: View<'_>) -> Option<Action> {
    let (mut missing, mut complete, mut refused) = (Vec::<Kind>::new(), true, None);
    for kind in kinds {
        let group_kind: GroupKind = kind.group_kind();
        complete &= view.records.is_complete(&group_kind);
        refused = refused.or_else(|| Some((kind.clone(), view.records.refusal(&group_kind)?)));
        if !view.records.is_watched(&group_kind)
            && !missing.iter().any(|known| known.group_kind() == group_kind)
        {
            missing.push(kind);
        }
    }
    match (missing.is_empty(), complete, refused) {
        (false, ..) => Some(Action::Watch(missing)),
        (true, false, Some((kind, reason))) => {
            let message = format!("failed to list all {kind}: {reason}");
            Some(write_or(view, status::stuck(view, ConditionType::ComparisonError, &message), None))
        }
        (true, false, None) => Some(Action::Idle(None)),
        (true, true, _) => None,
    }
}

/// The bundle was rendered from sources that the spec no longer has: the next one is on its way.
fn is_of_another_spec(bundle: &Bundle, application: &Application) -> bool {
    !bundle.sources.iter().map(|source| &source.source).eq(application.spec.sources())
}

/// The objects that are not as wanted, and how they differ.
pub(super) fn drift(bundle: &Bundle, comparison: &Comparison, records: &Records) -> Strayed {
    let places = comparison.out_of_sync.iter().filter_map(|place| bundle.assembly.objects.get(*place));
    places
        .map(|desired| match records.get(&desired.key).map(|record| &record.verdict) {
            Some(Verdict::OutOfSync(drift)) => (desired.key.clone(), Some(drift.clone())),
            _ => (desired.key.clone(), None),
        })
        .collect()
}

/// No change, no write.
pub(super) fn write_or(view: View<'_>, change: Change, wake: Option<Timestamp>) -> Action {
    if change.is_nothing(view.application) { Action::Idle(wake) } else { Action::Write(Box::new(change)) }
}

#[cfg(test)]
mod tests;
