//! What an operation consists of, in the order in which it is done.
//!
//! What comes in: an operation, what is wanted, and how the cluster compares. What goes out: tasks, sorted by phase,
//! wave, kind and name. Nothing is decided here that depends on how far the operation is.
//! Source of the order: compat 2.1, rules 1 to 4, 7 and 8.

use std::{collections::BTreeSet, sync::Arc};

use ithaca_api::{ResultCode, SyncOptions, operation::SyncOperation, sync_options::Deletion};

use super::{Effect, Outcome, Task};
use crate::{
    bundle::Bundle,
    desired::Desired,
    hook::Attempt,
    live::{Records, Verdict},
    object::{GroupKind, ObjectKey},
    order::{self, Phase},
    plan::comparison::Comparison,
};

/// The phases of a sync, in order.
const PHASES: [Phase; 4] = [Phase::PreSync, Phase::Sync, Phase::PostSync, Phase::SyncFail];

/// All tasks of an operation.
pub(super) fn tasks(
    sync: &SyncOperation,
    attempt: Attempt,
    bundle: &Bundle,
    comparison: &Comparison,
    records: &Records,
) -> Vec<Task> {
    let options = SyncOptions::from_list(&sync.sync_options);
    let objects = bundle.assembly.objects.iter().filter(|desired| is_selected(sync, &desired.key));
    let mut tasks: Vec<Task> = objects.map(|desired| apply_task(desired, &options, records)).collect();
    if options.apply_out_of_sync_only() {
        tasks.retain(|task| task.outcome.is_none());
    }
    if sync.runs_hooks() && !sync.dry_run {
        tasks.extend(hook_tasks(bundle, attempt, &PHASES));
    }
    put_before_what_needs_them(&mut tasks);
    let extras = comparison.extras.iter().filter(|key| bundle.assembly.is_whole() && is_selected(sync, key));
    let prunes: Vec<_> = extras.map(|key| prune_task(key, sync.prune, &options, records)).collect();
    let last = last_wave(&tasks);
    let prunes = match comparison.guarded {
        true => held(prunes, last),
        false => mirrored(prunes, last, &options, records),
    };
    tasks.extend(prunes);
    tasks.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    tasks
}

/// The hooks that run in these phases, once for each.
pub(super) fn hook_tasks(bundle: &Bundle, attempt: Attempt, phases: &[Phase]) -> Vec<Task> {
    let revision = bundle.revisions().into_iter().next().unwrap_or_default();
    let mut tasks = Vec::new();
    for hook in &bundle.assembly.hooks {
        for phase in hook.phases.iter().copied().filter(|phase| phases.contains(phase)) {
            let instance = hook.instance(attempt, phase, &revision);
            let (key, wave) = (instance.object.key.clone(), instance.object.wave);
            let effect = Effect::Hook(Arc::new(instance));
            tasks.push(Task { key, phase, wave, effect, confirm: false, outcome: None, removed: false });
        }
    }
    tasks.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    tasks
}

/// Whether an operation is about an object.
pub(super) fn is_selected(sync: &SyncOperation, key: &ObjectKey) -> bool {
    let named = |resource: &ithaca_api::operation::SyncResource| {
        resource.group == *key.group
            && resource.kind == *key.kind
            && resource.name == *key.name
            && (resource.namespace.is_empty() || resource.namespace == *key.namespace)
    };
    sync.resources.is_empty() || sync.resources.iter().any(named)
}

/// Nothing has to be asked of the API server for an object that is known to be as wanted, unless it is to be replaced.
fn apply_task(desired: &Arc<Desired>, options: &SyncOptions, records: &Records) -> Task {
    let record = records.get(&desired.key);
    let synced = record.is_some_and(|record| {
        let is_as_wanted = record.judged_for == desired.hash && record.verdict == Verdict::Synced;
        is_as_wanted && !record.handed_over && !record.deleting
    });
    let replaced = options.overlaid_with(&desired.options).replace();
    let unchanged =
        || Outcome::done(ResultCode::Synced, format!("{} unchanged", desired.key.resource_name()));
    Task {
        key: desired.key.clone(),
        phase: Phase::Sync,
        wave: desired.wave,
        effect: Effect::Apply(desired.clone()),
        confirm: false,
        outcome: (synced && !replaced).then(unchanged),
        removed: false,
    }
}

fn prune_task(key: &ObjectKey, prune: bool, options: &SyncOptions, records: &Records) -> Task {
    let record = records.get(key);
    let may = record.map_or(options.prune(), |record| options.overlaid_with(&record.options).prune());
    let skipped = match (prune, may) {
        (_, Deletion::Forbidden) => Some("ignored (no prune)"),
        (false, _) => Some("ignored (requires pruning)"),
        (true, _) => None,
    };
    let going = record.is_some_and(|record| record.deleting);
    let outcome = match skipped {
        Some(message) => Some(Outcome::done(ResultCode::PruneSkipped, message)),
        None => going.then(|| Outcome::done(ResultCode::Pruned, "pruned")),
    };
    Task {
        key: key.clone(),
        phase: Phase::Sync,
        wave: record.map_or(0, |record| record.wave),
        effect: Effect::Prune(records.served_version(&key.group_kind()).to_owned()),
        confirm: may == Deletion::Confirmed,
        outcome,
        removed: false,
    }
}

/// What was applied last is pruned first: the waves of what is pruned are swapped, lowest against highest. What asks to
/// be pruned last comes after everything that is applied.
fn mirrored(mut prunes: Vec<Task>, last: i64, options: &SyncOptions, records: &Records) -> Vec<Task> {
    let waves: BTreeSet<i64> = prunes.iter().map(|task| task.wave).collect();
    let waves: Vec<i64> = waves.into_iter().collect();
    for task in &mut prunes {
        let own = records.get(&task.key).map(|record| options.overlaid_with(&record.options));
        if own.as_ref().unwrap_or(options).prune_last() {
            task.wave = last + 1;
        } else if let Ok(place) = waves.binary_search(&task.wave) {
            task.wave = waves[waves.len() - 1 - place];
        }
    }
    prunes
}

/// What waits for somebody's word holds up nothing else.
fn held(mut prunes: Vec<Task>, last: i64) -> Vec<Task> {
    for task in &mut prunes {
        (task.wave, task.confirm) = (last + 1, true);
    }
    prunes
}

/// The last wave in which something is applied; 0 where nothing is.
fn last_wave(tasks: &[Task]) -> i64 {
    tasks.iter().filter(|task| task.phase == Phase::Sync).map(|task| task.wave).max().unwrap_or(0)
}

/// A namespace comes before the first object that lives in it, and a definition before the first object of its kind,
/// in whatever phase and wave that is.
fn put_before_what_needs_them(tasks: &mut [Task]) {
    let needed_from: Vec<_> = tasks.iter().map(|task| first_need(task, tasks)).collect();
    for (task, need) in tasks.iter_mut().zip(needed_from) {
        if let Some((phase, wave)) = need.filter(|need| *need < (task.phase, task.wave)) {
            (task.phase, task.wave) = (phase, wave);
        }
    }
}

/// When the first task runs that needs the object of this one.
fn first_need(task: &Task, tasks: &[Task]) -> Option<(Phase, i64)> {
    let Effect::Apply(desired) = &task.effect else { return None };
    let needs: Box<dyn Fn(&Task) -> bool> = match &*task.key.kind {
        "Namespace" if task.key.group.is_empty() => {
            let name = task.key.name.clone();
            Box::new(move |other| other.key.namespace == name)
        }
        "CustomResourceDefinition" => {
            let defined = defined_kind(desired)?;
            Box::new(move |other| other.key.group_kind() == defined)
        }
        _ => return None,
    };
    tasks.iter().filter(|other| needs(other)).map(|other| (other.phase, other.wave)).min()
}

fn defined_kind(definition: &Desired) -> Option<GroupKind> {
    let definition: serde_json::Value = serde_json::from_str(definition.json.get()).ok()?;
    let text = |pointer: &str| definition.pointer(pointer)?.as_str().map(str::to_owned);
    Some(GroupKind { group: text("/spec/group")?, kind: text("/spec/names/kind")? })
}

/// Within a wave what is pruned goes first, and through the kinds the other way round.
fn sort_key(task: &Task) -> (Phase, i64, bool, i64, &ObjectKey) {
    let rank = i64::try_from(order::kind_rank(&task.key.kind)).unwrap_or(i64::MAX);
    match task.effect {
        Effect::Prune(_) => (task.phase, task.wave, false, -rank, &task.key),
        Effect::Apply(_) | Effect::Hook(_) => (task.phase, task.wave, true, rank, &task.key),
    }
}
