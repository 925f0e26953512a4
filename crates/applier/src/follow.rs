//! What arrives by itself: Applications, facts, live objects, new kinds. Each goes into the state, and whoever it
//! concerns is looked at again.

mod kinds;

use std::{collections::HashSet, pin::pin, sync::Arc};

use futures::{StreamExt, stream};
use ithaca_api::{Application, ApplicationNamespaces, ApplicationSpec, ClusterSpec};
use ithaca_chassis::ReadyFlag;
use ithaca_proto::v1::{ApplicationDeleted, event::Fact};
use kube::{Resource, ResourceExt, runtime::watcher};
use opentelemetry::Context;

use kinds::discover;
pub use kinds::{definitions, discover_patiently, rediscover};

use crate::{
    cluster::{self, Event, Served, Told},
    clusters,
    error::Error,
    live::{self, Record, Records, Verdict},
    object::{GroupKind, Kind, ObjectKey},
    projects,
    service::{Shared, Site},
    state::{App, State, Uid},
};

/// Follows the facts on the bus.
pub async fn bundles(shared: Arc<Shared>) {
    let mut facts = pin!(shared.bus.bundles(shared.interest.subscribe()));
    while let Some(fact) = facts.next().await {
        let dirty = shared.state().put_fact(fact);
        dirty.iter().for_each(|uid| shared.queue.dirty(uid));
    }
}

/// Follows the Applications.
pub async fn applications(shared: Arc<Shared>, namespaces: ApplicationNamespaces, ready: ReadyFlag) {
    let watch = || cluster::watch_applications(shared.home.client(), namespaces.clone());
    let mut gains = shared.gains.subscribe();
    let (mut number, mut events) = (*gains.borrow_and_update(), watch());
    let mut listed = HashSet::new();
    let mut before = HashSet::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // What another applier did to those that are ours now may not have been told yet.
            _ = gains.changed() => {
                (number, events) = (*gains.borrow_and_update(), watch());
                continue;
            }
        };
        let Some(event) = event else { return };
        match event {
            Ok(watcher::Event::Init) => {
                listed.clear();
                before = known(&shared);
            }
            Ok(watcher::Event::InitApply(told)) => {
                let uid = note_application(&shared, &told, number);
                listed.extend(uid.or_else(|| put_application(&shared, *read(&told)?, number)));
            }
            Ok(watcher::Event::Apply(told)) => {
                if note_application(&shared, &told, number).is_some() {
                    continue;
                }
                let Some(application) = read(&told) else { continue };
                look_for(&shared, &application.spec).await;
                put_application(&shared, *application, number);
            }
            Ok(watcher::Event::Delete(told)) => {
                if let Some(uid) = &told.meta().uid {
                    remove_application(&shared, uid);
                }
            }
            Ok(watcher::Event::InitDone) => {
                settle(&shared, before.iter().filter(|uid| !listed.contains(*uid)));
                ready.set(true);
            }
            Err(error) => {
                let why = ithaca_api::unreadable(&error);
                tracing::warn!(why, %error, "failed to watch Applications, trying again");
            }
        }
    }
}

/// Asks for what an Application names and nobody has told of yet: its own watch may be ahead of the others.
pub async fn look_for(shared: &Arc<Shared>, spec: &ApplicationSpec) {
    projects::look_for(shared, spec.project()).await;
    clusters::look_for(shared, &spec.destination).await;
}

/// One that cannot be read hides no other.
fn read(told: &Told) -> Option<Box<Application>> {
    let unreadable = |error| {
        let (application, why) = (told.name_any(), "its CRD is not the one of this version");
        tracing::error!(application, error, why, "failed to read an Application");
    };
    told.read().map_err(unreadable).ok()
}

/// Notes that an Application is in the list of this number, or came after it, where this very version of it is known:
/// most were written from here.
fn note_application(shared: &Shared, told: &Told, number: u64) -> Option<Uid> {
    let meta = told.meta();
    let uid = Uid::from(meta.uid.as_deref()?);
    let mut state = shared.state();
    let known = &state.apps.get(&uid)?.application.metadata;
    if known.resource_version != meta.resource_version {
        return None;
    }
    pass_on(shared, &mut state, &uid, number);
    Some(uid)
}

/// Takes over an Application from the list of this number, or from what came after it.
fn put_application(shared: &Shared, application: Application, number: u64) -> Option<Uid> {
    let uid = Uid::from(application.metadata.uid.as_deref()?);
    let mut state = shared.state();
    state.put_application(application, &shared.namespace);
    pass_on(shared, &mut state, &uid, number);
    Some(uid)
}

/// Has everybody look whom a version of an Application concerns.
fn pass_on(shared: &Shared, state: &mut State, uid: &Uid, number: u64) {
    shared.read_bundles_of(state.interest());
    let Some(app) = state.apps.get_mut(uid) else { return };
    app.listed = number;
    let concerned = state.apps.get(uid).map(|app| state.concerned_by(&app.application));
    concerned.iter().flatten().chain([uid]).for_each(|uid| shared.queue.dirty(uid));
}

/// All Applications of which anything is known.
fn known(shared: &Shared) -> HashSet<Uid> {
    let state = shared.state();
    state.apps.keys().chain(state.early.keys().map(|(uid, _)| uid)).cloned().collect()
}

/// After a full list: what was known before it and is not in it is gone, and so is what the bus knows of it. One that
/// became known meanwhile may have been created after the list was made.
fn settle<'a>(shared: &Shared, gone: impl Iterator<Item = &'a Uid>) {
    let mut state = shared.state();
    state.listed = true;
    state.projects.note_applications();
    drop(state);
    gone.for_each(|uid| remove_application(shared, uid));
}

/// Forgets an Application that is gone. Whose it was says so.
pub fn remove_application(shared: &Shared, uid: &str) {
    let mut state = shared.state();
    state.early.retain(|(early, _), _| **early != *uid);
    let removed = state.remove_application(uid);
    if let Some(app) = &removed {
        let concerned = state.concerned_by(&app.application).into_iter().chain(state.sharing());
        concerned.for_each(|uid| shared.queue.dirty(&uid));
    }
    if !state.ownership.is_mine(uid) {
        removed.into_iter().for_each(|app| state.ownership.miss(uid, app.application));
        return;
    }
    drop(state);
    if let Some(App { application, taken_along, tracked, .. }) = removed {
        let deleted =
            ApplicationDeleted { objects: taken_along.unwrap_or_default(), orphans: taken_along.is_none() };
        shared.publisher.say(&application, vec![Fact::ApplicationDeleted(deleted)], &tracked.context);
    }
    forget(shared, uid);
}

/// Forgets an Application that was deleted just before it became this applier's own. That it left its objects in place
/// nobody has said; of one with finalizers, who took the last of them off has.
pub fn bury(shared: &Shared, uid: &str, application: &Application) {
    if application.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
        let deleted = ApplicationDeleted { objects: 0, orphans: true };
        shared.publisher.say(application, vec![Fact::ApplicationDeleted(deleted)], &Context::new());
    }
    forget(shared, uid);
}

/// Has the bus forget what was said of an Application.
fn forget(shared: &Shared, uid: &str) {
    // The bus may be away for long, and meanwhile other Applications change.
    let (bus, uid) = (shared.bus.clone(), uid.to_owned());
    tokio::spawn(async move {
        if let Err(error) = bus.forget(&uid).await {
            tracing::debug!(%error, uid, "failed to forget what the bus knows of a deleted Application");
        }
    });
}

/// Forgets the bundle that an operation asked for: the next one may ask in the same words and mean something newer.
pub fn forget_operation(shared: &Shared, uid: &Uid) {
    let Some(sequence) = shared.state().drop_requested(uid) else { return };
    let (bus, uid) = (shared.bus.clone(), uid.clone());
    tokio::spawn(async move {
        if let Err(error) = bus.forget_operation(&uid, sequence).await {
            tracing::debug!(%error, %uid, "failed to forget the bundle of an operation that ended");
        }
    });
}

/// Starts to watch a kind. A kind that the cluster does not serve has no objects.
pub fn watch_kind(site: &Site, kind: &Kind) {
    let group_kind = kind.group_kind();
    let mut state = site.state();
    let State { clusters, ownership, .. } = &mut *state;
    let Some(there) = clusters.get_mut(site.cluster.id()) else { return };
    let records = &mut there.records;
    if records.is_watched(&group_kind) {
        return;
    }
    // Asked while nobody else changes what is known: whoever learns that it is served finds it noted as unserved, or
    // this does not note it so.
    let served = site.cluster.served(kind).or_else(|| site.cluster.served_any(&group_kind));
    let served = served.filter(|served| served.watchable);
    match served.map(|served| (places(&there.spec, &served), served)) {
        Some((places, served)) if !places.is_empty() => {
            records.set_watched(group_kind.clone(), false);
            records.set_served_version(group_kind.clone(), &served.resource.version);
            ownership.follow(&(site.cluster.id(), group_kind.clone()));
            let task = tokio::spawn(objects(site.clone(), group_kind.clone(), served, places));
            records.set_follower(group_kind, task.abort_handle());
        }
        _ => records.set_unserved(group_kind),
    }
}

/// Where objects of a kind are looked for: everywhere, or in the namespaces that the cluster's Secret names.
pub fn places(spec: &ClusterSpec, served: &Served) -> Vec<Option<String>> {
    match (spec.namespaces.is_empty(), served.namespaced) {
        (true, _) => vec![None],
        (false, true) => spec.namespaces.iter().cloned().map(Some).collect(),
        (false, false) => spec.cluster_resources.then_some(None).into_iter().collect(),
    }
}

/// Follows the objects of one kind until the cluster no longer serves it at this version.
async fn objects(site: Site, kind: GroupKind, served: Served, parts: Vec<Option<String>>) {
    let watch_one = |(part, namespace): (usize, &Option<String>)| {
        let events = cluster::watch(site.cluster.client(), &served, namespace.as_deref());
        events.map(move |event| (part, event)).boxed()
    };
    let watch = || stream::select_all(parts.iter().enumerate().map(watch_one));
    let place = (site.cluster.id(), kind.clone());
    let mut gains = site.gains.subscribe();
    let mut number = *gains.borrow_and_update();
    let (mut events, mut changes) = (watch(), site.settings.changes(&kind));
    // One that becomes known while a list is made may be younger than the list.
    let mut unseen = vec![HashSet::new(); parts.len()];
    let mut unlisted: HashSet<_> = (0..parts.len()).collect();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // Judged by other rules: all are looked at once more.
            () = changes.next() => {
                (number, events) = (*gains.borrow_and_update(), watch());
                unlisted = (0..parts.len()).collect();
                continue;
            }
            // What another applier did to objects of Applications that are ours now may not have been told yet.
            _ = gains.changed() => {
                (number, events) = (*gains.borrow_and_update(), watch());
                unlisted = (0..parts.len()).collect();
                continue;
            }
        };
        let Some((part, event)) = event else { return };
        match event {
            Ok(Event::Init) => unseen[part] = remembered(&site, &kind, parts[part].as_deref()),
            Ok(Event::InitApply(passing)) => {
                if let Some(key) = judge(&site, &kind, &passing.value).await {
                    unseen[part].remove(&key);
                }
            }
            Ok(Event::Apply(passing)) => drop(judge(&site, &kind, &passing.value).await),
            Ok(Event::Delete(passing)) => {
                if let Some(key) = ObjectKey::of(&kind, &passing.value) {
                    remove(&site, &key, live::version(&passing.value));
                }
            }
            Ok(Event::InitDone) => {
                std::mem::take(&mut unseen[part]).iter().for_each(|key| remove(&site, key, None));
                unlisted.remove(&part);
                if unlisted.is_empty() {
                    site.records(|records| records.set_watched(kind.clone(), true));
                    site.state().ownership.list(&place, number);
                    site.dirty_all();
                } else if site.records(|records| records.set_listed(&kind, part)) == Some(true) {
                    site.dirty_all();
                }
            }
            Err(error) => {
                tracing::debug!(%error, ?kind, "a watch was interrupted");
                note_refusal(&site, &kind, part, &error).await;
                // A kind that cannot be listed now holds up nobody who does not manage it.
                let is_unlisted = matches!(error, watcher::Error::InitialListFailed(_));
                if is_unlisted && site.state().ownership.list(&place, number) {
                    site.dirty_all();
                }
                // Where it is served at another version still, it is followed at that one.
                if is_gone(&error) && discover(&site).await && !site.cluster.serves(&served) {
                    site.records(|records| records.unwatch(&kind));
                    site.state().forget_unfollowed();
                    site.dirty_all();
                    return;
                }
            }
        }
    }
}

/// The objects of a kind that are known, in a namespace or in all.
fn remembered(site: &Site, kind: &GroupKind, namespace: Option<&str>) -> HashSet<ObjectKey> {
    let known = site.records(|records| records.of_kind(kind)).unwrap_or_default();
    known.into_iter().filter(|key| namespace.is_none_or(|namespace| *namespace == *key.namespace)).collect()
}

/// A kind that the API server, once it is ready, refuses to list holds up whoever manages objects of it: they are told.
async fn note_refusal(site: &Site, kind: &GroupKind, part: usize, error: &watcher::Error) {
    let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error else { return };
    if status.code == 404 || !Error::is_about_the_object(status.code, &status.message) {
        return;
    }
    let refused = |records: &mut Records| records.set_refused(kind, part, status.message.clone());
    if discover(site).await && site.records(refused) == Some(true) {
        site.dirty_all();
    }
}

fn is_gone(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status,
        _ => return false,
    };
    status.code == 404
}

/// Looks at a live object as it passes by, and wakes whom it concerns if anything about it changed.
async fn judge(site: &Site, kind: &GroupKind, live: &serde_json::Value) -> Option<ObjectKey> {
    let key = ObjectKey::of(kind, live)?;
    let scripted = site.settings.scripted_health(&key, live).await;
    let mut state = site.state();
    let there = state.clusters.get_mut(site.cluster.id())?;
    let desired = there.claims.wanted(&key).map(|desired| &**desired);
    let before = there.records.get(&key);
    let mut record = Record::of(&key, live, desired, before, &there.records.rules().tracking);
    record.overrule_health(scripted);
    let changed = before.is_none_or(|before| {
        before.verdict != record.verdict
            || before.health != record.health
            || before.deleting != record.deleting
            || before.instance != record.instance
            || before.handed_over != record.handed_over
            || before.hook != record.hook
            || (record.verdict == Verdict::Undecided && before.fingerprint != record.fingerprint)
    });
    let instances = [before.and_then(|before| before.instance.clone()), record.instance.clone()];
    there.records.put(key.clone(), record);
    if changed {
        there.claims.claimants(&key).for_each(|uid| site.queue.dirty(uid));
        let tracked = instances.iter().flatten().filter_map(|instance| state.by_instance(instance));
        tracked.for_each(|uid| site.queue.dirty(uid));
    }
    Some(key)
}

fn remove(site: &Site, key: &ObjectKey, version: Option<u64>) {
    let mut state = site.state();
    let Some(there) = state.clusters.get_mut(site.cluster.id()) else { return };
    let instance = there.records.remove_at(key, version).and_then(|record| record.instance);
    there.claims.claimants(key).for_each(|uid| site.queue.dirty(uid));
    let tracked = instance.iter().filter_map(|instance| state.by_instance(instance));
    tracked.for_each(|uid| site.queue.dirty(uid));
}
