//! An Application that goes: what of its objects goes with it.
//!
//! What comes in: an Application with a deletion timestamp. What goes out: objects to delete, or the finalizers
//! that are left. Without a finalizer there is nothing to decide: the Application vanishes and its objects stay.

use std::sync::Arc;

use ithaca_api::{
    Application, ConditionType, OperationPhase, annotation,
    sync_options::{Deletion, Propagation},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    application_set,
    decide::{Action, watch_kinds, write_or},
    dependencies, permission,
    run::{Next, Run},
    status, told,
    view::{View, approves},
};
use crate::{
    bundle::Bundle,
    live::{Record, Records},
    object::{Kind, ObjectKey},
    order::Phase,
};

const ALL_RESOURCES_FINALIZERS: [&str; 3] =
    [annotation::RESOURCES_FINALIZER, annotation::FOREGROUND_FINALIZER, annotation::BACKGROUND_FINALIZER];

/// The stages of a deletion that run hooks, each with its finalizer and that of its clean-up.
const PRE_DELETE: Stage = Stage {
    phase: Phase::PreDelete,
    runs: annotation::PRE_DELETE_FINALIZER,
    cleans: annotation::PRE_DELETE_CLEANUP_FINALIZER,
};
const POST_DELETE: Stage = Stage {
    phase: Phase::PostDelete,
    runs: annotation::POST_DELETE_FINALIZER,
    cleans: annotation::POST_DELETE_CLEANUP_FINALIZER,
};

/// Between two attempts at a hook that was refused: nothing tells when it would be taken.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);

struct Stage {
    phase: Phase,
    runs: &'static str,
    cleans: &'static str,
}

/// An Application with hooks for its deletion is given their finalizers while it lives.
pub(super) fn guard(view: View<'_>, bundle: &Bundle) -> Option<Action> {
    let runs_in = |phase| bundle.assembly.hooks.iter().any(|hook| hook.phases.contains(&phase));
    let stages = [PRE_DELETE, POST_DELETE].into_iter().filter(|stage| runs_in(stage.phase));
    let known = finalizers(view.application);
    let missing = stages.flat_map(|stage| [stage.runs, stage.cleans]);
    let missing: Vec<_> = missing.filter(|name| !known.iter().any(|known| known == name)).collect();
    (!missing.is_empty()).then(|| {
        let all = known.iter().cloned().chain(missing.into_iter().map(str::to_owned));
        Action::Guard(all.collect())
    })
}

/// Lets an Application go whose objects nobody can reach.
pub(super) fn abandon(view: View<'_>) -> Action {
    let stages = [PRE_DELETE, POST_DELETE].iter().flat_map(|stage| [stage.runs, stage.cleans]);
    let ours: Vec<_> = ALL_RESOURCES_FINALIZERS.into_iter().chain(stages).collect();
    let left = without(view.application, &ours);
    match left.len() == finalizers(view.application).len() {
        true => Action::Idle(None),
        false => Action::Release(left),
    }
}

/// Decides for an Application that is being deleted, once its ApplicationSet's guard lets it go: hooks before, its objects,
/// hooks after.
pub(super) fn decide(view: View<'_>) -> Action {
    if let Some(action) = application_set::hold(view) {
        return action;
    }
    if let Some(reason) =
        dependencies::held_by_dependents(view).filter(|_| !finalizers(view.application).is_empty())
    {
        return undeleted(view, &reason);
    }
    run_hooks(view, &PRE_DELETE)
        .or_else(|| objects(view))
        .or_else(|| run_hooks(view, &POST_DELETE))
        .unwrap_or(Action::Idle(None))
}

/// The hooks of a stage, then their clean-up; None where the Application has neither finalizer.
fn run_hooks(view: View<'_>, stage: &Stage) -> Option<Action> {
    let has = |name: &str| finalizers(view.application).iter().any(|known| known == name);
    let name = [stage.runs, stage.cleans].into_iter().find(|name| has(name))?;
    let done = || Action::Release(without(view.application, &[name]));
    let Some(bundle) = view.tracked else { return Some(Action::Idle(None)) };
    if let Some(reason) = unrunnable(bundle, stage, name) {
        let message = format!(
            "failed to run the {} hooks: {reason}; mend that, or take the finalizer {name} off the Application to go on without them",
            stage.phase
        );
        return Some(undeleted(view, &message));
    }
    let kinds = bundle.assembly.hooks.iter().map(|hook| hook.manifest.kind());
    if let Some(action) = watch_kinds(kinds, view) {
        return Some(action);
    }
    let Some(run) = view.run.filter(|run| run.deletes == Some(stage.phase)) else {
        return Some(begin(view, bundle, stage));
    };
    let next = match name == stage.cleans {
        true => run.cleared(view.records).unwrap_or(Next::Finish(OperationPhase::Succeeded, String::new())),
        false => run.next_of_deletion(view.records),
    };
    Some(match next {
        Next::Rehearse(tasks) => Action::Rehearse(tasks),
        Next::Perform(tasks) => Action::Perform(tasks),
        Next::Conclude(outcomes) => Action::Conclude(outcomes),
        Next::LetGo(hooks) => Action::LetGo(hooks),
        Next::Discard(hooks) => Action::Discard(hooks),
        Next::Wait(message) => undeleted(view, &message),
        Next::RetryAt(at) => Action::Idle(Some(at)),
        Next::Finish(OperationPhase::Succeeded, _) => done(),
        Next::Finish(_, reason) => failed(view, bundle, stage, run, reason),
    })
}

/// Why hooks that are wanted, for there is their finalizer, cannot be run.
fn unrunnable(bundle: &Bundle, stage: &Stage, finalizer: &str) -> Option<String> {
    if !bundle.has_content() {
        return Some(bundle.why_empty().to_owned());
    }
    let barred = bundle.assembly.barred_hooks.iter();
    let barred = barred.filter(|(phases, _)| finalizer == stage.runs && phases.contains(&stage.phase));
    told::listed(barred.map(|(_, reason)| reason.clone()))
}

fn begin(view: View<'_>, bundle: &Arc<Bundle>, stage: &Stage) -> Action {
    let since = deleted_at(view.application);
    Action::Begin(Box::new(Run::of_deletion(bundle.clone(), stage.phase, since, view.records)))
}

/// Hooks of a stage failed. They are run once more when somebody deletes their objects, which their finalizers kept until
/// then; those that have none, for they were refused, after a pause.
fn failed(view: View<'_>, bundle: &Arc<Bundle>, stage: &Stage, run: &Run, reason: String) -> Action {
    let Some(again_at) = run.failed_at.map(|at| at.saturating_add(PAUSE).unwrap_or(at)) else {
        return Action::Postpone(reason);
    };
    let failed = run.failed_hooks(view.records);
    let is_kept = |record: &Record| record.deleting && record.is_held_hook();
    let kept = failed.iter().filter(|key| view.records.get(key).is_some_and(is_kept));
    let kept: Vec<_> = kept.map(|key| (*key).clone()).collect();
    if !kept.is_empty() {
        return Action::LetGo(kept);
    }
    if failed.is_empty() && view.now >= again_at {
        return begin(view, bundle, stage);
    }
    let (again, wake) = match failed.is_empty() {
        true => (format!("It is tried again every {} s", PAUSE.as_secs()), Some(again_at)),
        false => (format!("Delete {} to try again", told::named(&failed, told::FEW)), None),
    };
    let message = format!(
        "a {} hook failed, and the Application waits: {reason}. {again}, or take the finalizer {} off the Application to go on without it",
        stage.phase, stage.runs
    );
    write_or(view, status::told(view, ConditionType::DeletionError, &message), wake)
}

fn finalizers(application: &Application) -> &[String] {
    application.metadata.finalizers.as_deref().unwrap_or_default()
}

fn without(application: &Application, names: &[&str]) -> Vec<String> {
    let all = finalizers(application).iter();
    all.filter(|name| !names.contains(&name.as_str())).cloned().collect()
}

/// Whether its objects go with an Application.
pub(super) fn cascades(application: &Application) -> bool {
    finalizers(application).iter().any(|name| ALL_RESOURCES_FINALIZERS.contains(&name.as_str()))
}

/// When an Application was deleted, to the second.
pub(super) fn deleted_at(application: &Application) -> Timestamp {
    let time = application.metadata.deletion_timestamp.as_ref();
    time.and_then(|time| Timestamp::from_second(time.0.as_second()).ok()).unwrap_or_default()
}

/// The Application's objects, wave by wave; None where they stay or are gone.
fn objects(view: View<'_>) -> Option<Action> {
    let ours =
        finalizers(view.application).iter().find(|name| ALL_RESOURCES_FINALIZERS.contains(&name.as_str()))?;
    if view.project.is_none() {
        return Some(undeleted(view, &format!("{}: make it again", permission::missing(view))));
    }
    let desired =
        view.tracked.iter().flat_map(|bundle| &bundle.assembly.objects).map(|desired| desired.kind());
    if let Some(action) = watch_kinds(inventory(view.application).into_iter().chain(desired), view) {
        return Some(action);
    }
    let Doomed { left, unconfirmed } = doomed(view);
    if left.is_empty() && unconfirmed.is_empty() {
        return Some(Action::Release(without(view.application, &ALL_RESOURCES_FINALIZERS)));
    }
    let held = left.iter().filter(|key| view.records.get(key).is_some_and(Record::is_held_hook));
    let held: Vec<_> = held.map(|key| (*key).clone()).collect();
    if !held.is_empty() {
        return Some(Action::LetGo(held));
    }
    let left = last_wave(left, view.records);
    let propagation = match ours == annotation::BACKGROUND_FINALIZER {
        true => Propagation::Background,
        false => Propagation::Foreground,
    };
    let not_yet = left.into_iter().filter(|key| view.records.get(key).is_some_and(|record| !record.deleting));
    Some(match not_yet.cloned().collect::<Vec<_>>() {
        objects if !objects.is_empty() => Action::Delete(objects, propagation),
        _ if unconfirmed.is_empty() => Action::Idle(None),
        _ => {
            let message = format!(
                "waiting for deletion confirmation of {}: annotate the Application with {}=<the time now, RFC 3339>",
                told::named(&unconfirmed, told::FEW),
                annotation::DELETION_APPROVED
            );
            undeleted(view, &message)
        }
    })
}

/// Those of the highest wave: what was applied last goes first, and the next only when they are gone.
fn last_wave<'a>(left: Vec<&'a ObjectKey>, records: &Records) -> Vec<&'a ObjectKey> {
    let wave = |key: &ObjectKey| records.get(key).map_or(0, |record| record.wave);
    let last = left.iter().map(|key| wave(key)).max();
    left.into_iter().filter(|key| Some(wave(key)) == last).collect()
}

/// What there is to say when objects could not be deleted.
pub fn undeleted(view: View<'_>, reason: &str) -> Action {
    write_or(view, status::told(view, ConditionType::DeletionError, reason), None)
}

/// The objects that go.
#[derive(Default)]
struct Doomed<'a> {
    /// Those that may.
    left: Vec<&'a ObjectKey>,
    /// Those that wait for somebody's word.
    unconfirmed: Vec<&'a ObjectKey>,
}

/// The application's own objects, but no definitions, not itself, none that asks to be kept, and none that its project
/// does not permit.
fn doomed(view: View<'_>) -> Doomed<'_> {
    let (mut doomed, options) = (Doomed::default(), view.options());
    let approved = approves(view.approval(), deleted_at(view.application));
    for (key, record) in view.records.tracked_by(&view.owner.instance) {
        if !permission::may_delete(view, key) {
            continue;
        }
        if record.kept || &*key.kind == "CustomResourceDefinition" || is_itself(key, view.application) {
            continue;
        }
        match options.overlaid_with(&record.options).delete() {
            Deletion::Forbidden => {}
            Deletion::Confirmed if !approved && !record.deleting => doomed.unconfirmed.push(key),
            Deletion::Allowed | Deletion::Confirmed => doomed.left.push(key),
        }
    }
    doomed.left.sort();
    doomed.unconfirmed.sort();
    doomed
}

fn is_itself(key: &ObjectKey, application: &Application) -> bool {
    *key.group == *ithaca_api::GROUP
        && &*key.kind == "Application"
        && application.metadata.name.as_deref() == Some(&key.name)
        && application.metadata.namespace.as_deref() == Some(&key.namespace)
}

/// The kinds of what was managed before, as the status tells.
pub(super) fn inventory(application: &Application) -> Vec<Kind> {
    let resources = application.status.iter().flat_map(|status| status.resources.iter());
    let known = resources.filter(|resource| !resource.kind.is_empty());
    known
        .map(|resource| Kind {
            group: resource.group.clone(),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
