//! What is done to objects: judged, applied, pruned, deleted. Several at once, each with its own outcome.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};
use ithaca_api::{ResultCode, SyncOptions, annotation::FIELD_MANAGER, sync_options::Propagation};
use serde_json::Value;
use tracing::Instrument;

use crate::{
    desired::Desired,
    error::Error,
    follow, judge,
    live::{Drift, Record, Verdict},
    object::ObjectKey,
    plan::{Effect, Outcome, Task},
    service::Shared,
    state::Uid,
};

/// Attempts without an answer after which the status tells of it.
const LASTING: u32 = 3;

/// Attempts after which a kind is taken as one that the cluster will not serve: a definition that is established is
/// served a moment later.
const PATIENT: u32 = 8;

/// Has the API server judge objects that the cheap comparison could not.
pub async fn inspect(shared: &Shared, objects: Vec<Arc<Desired>>) -> Result<(), Error> {
    let inspections: Vec<_> = objects.iter().map(|desired| inspect_one(shared, desired).boxed()).collect();
    let mut inspections = stream::iter(inspections).buffer_unordered(shared.writes);
    while let Some(outcome) = inspections.next().await {
        outcome?;
    }
    Ok(())
}

async fn inspect_one(shared: &Shared, desired: &Desired) -> Result<(), Error> {
    let Some(live) = shared.cluster.get(desired).await? else {
        shared.state().records.remove(&desired.key);
        return Ok(());
    };
    let mut record = Record::of(&desired.key, &live, Some(desired), None);
    if record.verdict == Verdict::Undecided {
        record.verdict = convict(shared, desired, &live).await?;
    }
    shared.state().records.put_answer(desired.key.clone(), record);
    Ok(())
}

/// The API server's verdict: what a server-side dry run would change.
async fn convict(shared: &Shared, desired: &Desired, live: &Value) -> Result<Verdict, Error> {
    let _timer = shared.metrics.dry_run();
    match shared.cluster.apply(desired, true).await {
        Ok(applied) => {
            let fields = judge::differences(live, &applied);
            if fields.is_empty() {
                return Ok(Verdict::Synced);
            }
            let author = judge::attribute(live, &fields, FIELD_MANAGER);
            Ok(Verdict::OutOfSync(Arc::new(Drift { fields, author, rejected: None })))
        }
        Err(error) if error.is_passing() => Err(error),
        Err(error) => {
            Ok(Verdict::OutOfSync(Arc::new(Drift { rejected: Some(error.to_string()), ..Drift::default() })))
        }
    }
}

/// Does these tasks of the operation under way. What the API server did not answer is left to be done again.
pub async fn perform(shared: &Shared, uid: &Uid, places: &[usize]) -> Result<(), Error> {
    let Some(Plan { tasks, options, dry_run, namespace, may_create, attempts }) = plan(shared, uid, places)
    else {
        return Ok(());
    };
    learn_kinds(shared, &tasks).await;
    let applies = tasks.iter().any(|(_, task)| matches!(task.effect, Effect::Apply(_)));
    if applies && !dry_run && options.create_namespace() && !namespace.is_empty() {
        let made = match may_create {
            Ok(()) => shared.cluster.ensure_namespace(&namespace).await,
            Err(reason) => shared.cluster.expect_namespace(&namespace, &reason).await,
        };
        match made {
            Err(error) if !error.is_passing() => {
                let message = format!("failed to create namespace {namespace}: {error}");
                let failed = Outcome { code: ResultCode::SyncFailed, message };
                tasks.iter().for_each(|(place, _)| conclude(shared, uid, *place, failed.clone()));
                return Ok(());
            }
            other => other?,
        }
    }
    let pruning = Pruning { propagation: options.prune_propagation(), dry_run, again: attempts > 0 };
    let job = |(place, task): &(usize, Task)| {
        let (place, task) = (*place, task.clone());
        async move { (place, do_task(shared, &task, pruning).await) }.boxed()
    };
    let jobs: Vec<_> = tasks.iter().map(job).collect();
    let mut jobs = stream::iter(jobs).buffer_unordered(shared.writes);
    let span = tracing::info_span!("apply", objects = tasks.len(), dry_run);
    let mut unanswered = None;
    while let Some((place, outcome)) = jobs.next().instrument(span.clone()).await {
        match outcome {
            Ok(message) => conclude(shared, uid, place, message),
            Err(error) if error.is_passing() => unanswered = Some(error),
            Err(error @ Error::UnknownKind { .. }) if attempts < PATIENT => unanswered = Some(error),
            Err(error) => {
                conclude(
                    shared,
                    uid,
                    place,
                    Outcome { code: ResultCode::SyncFailed, message: error.to_string() },
                );
            }
        }
    }
    note_trouble(shared, uid, unanswered.as_ref());
    unanswered.map_or(Ok(()), Err)
}

/// What got no answer is told where it lasts, and forgotten once there is one.
fn note_trouble(shared: &Shared, uid: &Uid, error: Option<&Error>) {
    let mut state = shared.state();
    let Some(app) = state.apps.get_mut(uid) else { return };
    let lasting = error.filter(|_| app.failures >= LASTING);
    if let Some(run) = &mut app.run {
        run.trouble = lasting.map(|error| match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        });
    }
}

/// What is done next, and how.
struct Plan {
    tasks: Vec<(usize, Task)>,
    options: SyncOptions,
    dry_run: bool,
    /// Of the application's destination.
    namespace: String,
    /// Whether that may be made, or why not.
    may_create: Result<(), String>,
    /// How often in a row something got no answer.
    attempts: u32,
}

/// How objects are deleted.
#[derive(Clone, Copy)]
struct Pruning {
    propagation: Propagation,
    dry_run: bool,
    /// An earlier request may have been served although nobody was told.
    again: bool,
}

fn plan(shared: &Shared, uid: &Uid, places: &[usize]) -> Option<Plan> {
    let state = shared.state();
    let app = state.apps.get(uid)?;
    let run = app.run.as_ref()?;
    let tasks = places.iter().filter_map(|place| Some((*place, run.tasks.get(*place)?.clone()))).collect();
    let options = run.operation.sync.as_ref().map(|sync| SyncOptions::from_list(&sync.sync_options));
    Some(Plan {
        tasks,
        options: options.unwrap_or_default(),
        dry_run: run.is_dry(),
        namespace: app.owner.namespace.clone(),
        may_create: match state.projects.of(&app.application) {
            Some(project) => project.may_create_namespace(&app.owner.namespace),
            None => Ok(()),
        },
        attempts: app.failures,
    })
}

/// Asks the cluster again what it serves where objects are of a kind that was not there before: its definition may
/// have been applied a moment ago.
async fn learn_kinds(shared: &Shared, tasks: &[(usize, Task)]) {
    let unknown = tasks.iter().any(|(_, task)| match &task.effect {
        Effect::Apply(desired) => shared.cluster.served(&desired.kind()).is_none(),
        Effect::Prune => false,
    });
    if unknown {
        follow::rediscover(shared).await;
    }
}

async fn do_task(shared: &Shared, task: &Task, pruning: Pruning) -> Result<Outcome, Error> {
    let dry_run = pruning.dry_run;
    let suffix = if dry_run { " (dry run)" } else { "" };
    match &task.effect {
        Effect::Apply(desired) => {
            let timer = shared.metrics.apply_timer();
            let live = shared.cluster.apply(desired, dry_run).await;
            shared.metrics.applied(timer, live.is_ok());
            let live = live?;
            if !dry_run {
                let mut state = shared.state();
                state.records.put_answer(desired.key.clone(), Record::applied(&desired.key, &live, desired));
            }
            let message = format!("{} serverside-applied{suffix}", resource_name(&desired.key));
            Ok(Outcome { code: ResultCode::Synced, message })
        }
        Effect::Prune => {
            delete_once(shared, &task.key, pruning).await?;
            shared.metrics.pruned();
            Ok(Outcome { code: ResultCode::Pruned, message: format!("pruned{suffix}") })
        }
    }
}

/// `deployment.apps/web`, as kubectl names objects.
fn resource_name(key: &ObjectKey) -> String {
    let kind = key.kind.to_lowercase();
    if key.group.is_empty() {
        format!("{kind}/{}", key.name)
    } else {
        format!("{kind}.{}/{}", key.group, key.name)
    }
}

/// Ends these tasks for a reason that is none of their objects'.
pub(super) fn refuse(shared: &Shared, uid: &Uid, places: &[usize], reason: &str) {
    let refused = Outcome { code: ResultCode::SyncFailed, message: reason.to_owned() };
    places.iter().for_each(|place| conclude(shared, uid, *place, refused.clone()));
}

fn conclude(shared: &Shared, uid: &Uid, place: usize, outcome: Outcome) {
    let mut state = shared.state();
    let run = state.apps.get_mut(uid).and_then(|app| app.run.as_mut());
    if let Some(task) = run.and_then(|run| run.tasks.get_mut(place)) {
        task.outcome = Some(outcome);
    }
}

/// Deletes the objects of an application that goes.
pub async fn delete(
    shared: &Shared,
    uid: &Uid,
    objects: &[ObjectKey],
    propagation: Propagation,
) -> Result<(), Error> {
    let again = shared.state().apps.get(uid).is_some_and(|app| app.failures > 0);
    let pruning = Pruning { propagation, dry_run: false, again };
    let jobs: Vec<_> = objects.iter().map(|key| delete_once(shared, key, pruning).boxed()).collect();
    let mut jobs = stream::iter(jobs).buffer_unordered(shared.writes);
    while let Some(outcome) = jobs.next().await {
        outcome?;
        shared.state().take_along(uid, 1);
    }
    Ok(())
}

/// Deletes an object unless it is being deleted: a second request puts back the finalizer that the garbage collector
/// took away, and a collector that missed one of the two changes never takes it away again.
async fn delete_once(shared: &Shared, key: &ObjectKey, pruning: Pruning) -> Result<(), Error> {
    if pruning.again && shared.cluster.is_going(key).await? {
        return Ok(());
    }
    shared.cluster.delete(key, pruning.propagation, pruning.dry_run).await?;
    if !pruning.dry_run {
        shared.state().records.set_deleting(key);
    }
    Ok(())
}
