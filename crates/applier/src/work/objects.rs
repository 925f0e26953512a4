//! What is done to objects: judged, applied, pruned, deleted. Several at once, each with its own outcome.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt, StreamExt, stream};
use ithaca_api::{
    ResultCode, SyncOptions,
    annotation::{CLIENT_SIDE_APPLY_MIGRATION_MANAGER, FIELD_MANAGER},
    sync_options::Propagation,
    tracking::Tracking,
};
use serde_json::Value;
use tracing::Instrument;

use super::{
    apply::{self, Manner},
    hooks,
};
use crate::{
    cluster::Mode,
    desired::Desired,
    error::Error,
    follow, judge,
    live::{Drift, Record, Verdict},
    object::ObjectKey,
    plan::{Effect, Outcome, Task},
    service::Site,
    state::Uid,
    tracked,
};

/// Attempts without an answer after which the status tells of it.
const LASTING: u32 = 3;

/// Attempts after which a kind is taken as one that the cluster will not serve: a definition that is established is
/// served a moment later.
const PATIENT: u32 = 8;

/// Has the API server judge objects that the cheap comparison could not.
pub async fn inspect(site: &Site, objects: Vec<Arc<Desired>>) -> Result<(), Error> {
    let inspections = stream::iter(objects).map(|desired| inspect_one(site, desired).boxed());
    let mut inspections = inspections.buffer_unordered(site.writes);
    while let Some(outcome) = inspections.next().await {
        outcome?;
    }
    Ok(())
}

async fn inspect_one(site: &Site, desired: Arc<Desired>) -> Result<(), Error> {
    let desired = &*desired;
    let rules = site.rules();
    let known = site.records(|records| records.get(&desired.key).and_then(|record| record.version)).flatten();
    let Some(live) = site.cluster.get(desired).await? else {
        site.records(|records| records.remove_answer(&desired.key, known));
        return Ok(());
    };
    let mut record = Record::of(&desired.key, &live, Some(desired), None, &rules.tracking);
    if record.verdict == Verdict::Undecided {
        let unknown;
        (record.verdict, unknown) = convict(site, desired, &live, &rules.tracking).await?;
        record = record.with_unknown(unknown);
    }
    record.overrule_health(site.settings.scripted_health(&desired.key, &live).await);
    site.put_answer(&desired.key, record, &rules);
    Ok(())
}

/// The API server's verdict: what a server-side dry run would change, and which fields it does not know.
async fn convict(
    site: &Site,
    desired: &Desired,
    live: &Value,
    tracking: &Tracking,
) -> Result<(Verdict, Vec<String>), Error> {
    let _timer = site.metrics.dry_run();
    match site.cluster.apply_known(desired, Mode::DryRun).await {
        Ok((applied, unknown)) => {
            let applied = tracked::as_before(&applied, live, tracking).unwrap_or(applied);
            Ok((verdict(desired, live, &applied), unknown))
        }
        Err(error) if error.is_passing() => Err(error),
        Err(error) => {
            let drift = Drift { rejected: Some(error.to_string()), ..Drift::default() };
            Ok((Verdict::OutOfSync(Arc::new(drift)), Vec::new()))
        }
    }
}

fn verdict(desired: &Desired, live: &Value, applied: &Value) -> Verdict {
    let Some(fields) = differences(desired, live, applied) else { return Verdict::Undecided };
    if fields.is_empty() {
        return Verdict::Synced;
    }
    let author = judge::attribute(live, &fields, FIELD_MANAGER);
    Verdict::OutOfSync(Arc::new(Drift { fields, author, rejected: None }))
}

/// The differences that count. None where no rule can tell, which holds up the whole application.
fn differences(desired: &Desired, live: &Value, applied: &Value) -> Option<Vec<String>> {
    let Some(ignored) = desired.ignored.as_deref() else { return Some(judge::differences(live, applied)) };
    let without = |object| ignored.without(&desired.key, object, live, true);
    Some(judge::differences(&without(live)?, &without(applied)?))
}

/// Does these tasks of the operation under way. What the API server did not answer is left to be done again.
pub async fn perform(site: &Site, uid: &Uid, places: &[usize]) -> Result<(), Error> {
    let Some(how) = plan(site, uid, places) else { return Ok(()) };
    set_begun(site, uid);
    let tasks = &how.tasks;
    learn_kinds(site, tasks).await;
    match make_namespace(site, &how).await {
        Err(error) if !error.is_passing() => {
            let message = format!("failed to create namespace {}: {error}", how.namespace);
            refuse(site, uid, places, &message);
            return Ok(());
        }
        other => other?,
    }
    let one = async |index: usize| {
        let (place, task) = &tasks[index];
        match site.expect_own(uid) {
            Ok(()) => (*place, do_task(site, task, &how).await),
            Err(error) => (*place, Err(error)),
        }
    };
    let mut jobs = stream::iter(0..tasks.len()).map(|index| one(index).boxed()).buffer_unordered(site.writes);
    let span = tracing::info_span!("apply", objects = tasks.len(), dry_run = how.dry_run);
    let mut unanswered = BTreeMap::new();
    while let Some((place, outcome)) = jobs.next().instrument(span.clone()).await {
        match outcome {
            Ok(Some(outcome)) => conclude(site, uid, place, outcome),
            Ok(None) => set_removed(site, uid, place),
            Err(error) if error.is_passing() => drop(unanswered.insert(place, error)),
            Err(error @ Error::UnknownKind { .. }) if how.attempts < PATIENT => {
                unanswered.insert(place, error);
            }
            Err(error) => {
                conclude(site, uid, place, Outcome::failed(error.to_string()));
            }
        }
    }
    // The status tells of the first, whoever was answered last.
    let unanswered = unanswered.into_values().next();
    note_trouble(site, uid, unanswered.as_ref());
    unanswered.map_or(Ok(()), Err)
}

/// Makes the destination's namespace, where something is to be applied and the options say so.
pub(super) async fn make_namespace(site: &Site, how: &Plan) -> Result<(), Error> {
    let applies = how.tasks.iter().any(|(_, task)| !matches!(task.effect, Effect::Prune(_)));
    if !applies || how.dry_run || !how.options.create_namespace() || how.namespace.is_empty() {
        return Ok(());
    }
    match &how.may_create {
        Ok(()) => site.cluster.ensure_namespace(&how.namespace).await,
        Err(reason) => site.cluster.expect_namespace(&how.namespace, reason).await,
    }
}

/// What got no answer is told where it lasts, and forgotten once there is one.
fn note_trouble(site: &Site, uid: &Uid, error: Option<&Error>) {
    let mut state = site.state();
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
pub(super) struct Plan {
    pub(super) tasks: Vec<(usize, Task)>,
    pub(super) options: SyncOptions,
    /// The operation's strategy forces every object.
    forces: bool,
    dry_run: bool,
    /// One more manager whose fields are taken over.
    client_side_manager: Option<String>,
    /// The application, as its objects name it.
    instance: String,
    /// Of the application's destination.
    namespace: String,
    /// Whether that may be made, or why not.
    may_create: Result<(), String>,
    /// How often in a row something got no answer.
    attempts: u32,
}

impl Plan {
    /// How objects are applied.
    fn mode(&self) -> Mode<'_> {
        let also = self.client_side_manager.as_deref().map(str::trim).filter(|name| !name.is_empty());
        match self.dry_run {
            true => Mode::DryRun,
            false if self.options.keeps_client_side() => Mode::KeepingClientSide,
            false => Mode::TakingOver { also },
        }
    }
}

/// How objects are deleted.
#[derive(Clone, Copy)]
struct Pruning {
    propagation: Propagation,
    dry_run: bool,
    /// An earlier request may have been served although nobody was told.
    again: bool,
}

pub(super) fn plan(site: &Site, uid: &Uid, places: &[usize]) -> Option<Plan> {
    let state = site.state();
    let app = state.apps.get(uid)?;
    let run = app.run.as_ref()?;
    let tasks = places.iter().filter_map(|place| Some((*place, run.tasks.get(*place)?.clone()))).collect();
    let options = run.operation.sync.as_ref().map(|sync| SyncOptions::from_list(&sync.sync_options));
    let annotations = app.application.metadata.annotations.as_ref();
    Some(Plan {
        tasks,
        options: options.unwrap_or_default(),
        forces: run.operation.sync.as_ref().is_some_and(|sync| sync.forces()),
        dry_run: run.is_dry(),
        client_side_manager: annotations
            .and_then(|all| all.get(CLIENT_SIDE_APPLY_MIGRATION_MANAGER))
            .cloned(),
        instance: app.owner.instance.clone(),
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
async fn learn_kinds(site: &Site, tasks: &[(usize, Task)]) {
    let unknown = tasks.iter().any(|(_, task)| match &task.effect {
        Effect::Apply(desired) => site.cluster.served(&desired.kind()).is_none(),
        Effect::Hook(hook) => site.cluster.served(&hook.object.kind()).is_none(),
        Effect::Prune(_) => false,
    });
    if unknown {
        follow::rediscover(site).await;
    }
}

/// What became of a task; None where it has to be done again once its object is gone.
async fn do_task(site: &Site, task: &Task, how: &Plan) -> Result<Option<Outcome>, Error> {
    match &task.effect {
        Effect::Apply(desired) => {
            let manner = Manner::new(&how.options, desired, how.forces, how.mode());
            apply::apply(site, desired, manner, task.removed).await
        }
        Effect::Hook(hook) => hooks::start(site, hook).await.map(Some),
        Effect::Prune(_)
            if !site.records(|records| records.may_be_of(&task.key, &how.instance)).unwrap_or(false) =>
        {
            let message = "ignored (no longer an object of this application)";
            Ok(Some(Outcome::done(ResultCode::PruneSkipped, message)))
        }
        Effect::Prune(_) => {
            let propagation = how.options.prune_propagation();
            let pruning = Pruning { propagation, dry_run: how.dry_run, again: how.attempts > 0 };
            delete_once(site, &task.key, pruning).await?;
            site.metrics.pruned();
            let suffix = if how.dry_run { " (dry run)" } else { "" };
            Ok(Some(Outcome::done(ResultCode::Pruned, format!("pruned{suffix}"))))
        }
    }
}

/// Ends these tasks for a reason that is none of their objects'.
pub(super) fn refuse(site: &Site, uid: &Uid, places: &[usize], reason: &str) {
    places.iter().for_each(|place| conclude(site, uid, *place, Outcome::failed(reason)));
}

/// Notes what became of a task.
pub fn conclude(site: &Site, uid: &Uid, place: usize, outcome: Outcome) {
    let mut state = site.state();
    let run = state.apps.get_mut(uid).and_then(|app| app.run.as_mut());
    if let Some(task) = run.and_then(|run| run.task_mut(place)) {
        task.outcome = Some(outcome);
    }
}

/// Notes that something is about to be done.
fn set_begun(site: &Site, uid: &Uid) {
    if let Some(run) = site.state().apps.get_mut(uid).and_then(|app| app.run.as_mut()) {
        run.begun = true;
    }
}

/// Notes that a task's object was deleted to be made anew.
fn set_removed(site: &Site, uid: &Uid, place: usize) {
    let mut state = site.state();
    let run = state.apps.get_mut(uid).and_then(|app| app.run.as_mut());
    if let Some(task) = run.and_then(|run| run.task_mut(place)) {
        task.removed = true;
    }
}

/// Deletes the objects of an application that goes.
pub async fn delete(
    site: &Site,
    uid: &Uid,
    objects: &[ObjectKey],
    propagation: Propagation,
) -> Result<(), Error> {
    let again = site.state().apps.get(uid).is_some_and(|app| app.failures > 0);
    let pruning = Pruning { propagation, dry_run: false, again };
    let one = async |index: usize| {
        site.expect_own(uid)?;
        delete_once(site, &objects[index], pruning).await
    };
    let jobs = stream::iter(0..objects.len()).map(|index| one(index).boxed());
    let mut jobs = jobs.buffered(site.writes);
    let mut refused = None;
    while let Some(outcome) = jobs.next().await {
        match outcome {
            Ok(()) => site.state().take_along(uid, 1),
            Err(error) if error.is_passing() => return Err(error),
            // One that is refused holds up no other, and of several the same is told each time.
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Deletes an object unless it is being deleted: a second request puts back the finalizer that the garbage collector
/// took away, and a collector that missed one of the two changes never takes it away again.
async fn delete_once(site: &Site, key: &ObjectKey, pruning: Pruning) -> Result<(), Error> {
    if pruning.again && site.cluster.is_going(key).await? {
        return Ok(());
    }
    site.cluster.delete(key, pruning.propagation, pruning.dry_run).await?;
    if !pruning.dry_run {
        site.records(|records| records.set_deleting(key));
    }
    Ok(())
}
