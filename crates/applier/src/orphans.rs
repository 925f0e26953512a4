//! Objects that nobody manages, where a project wants to hear of them.
//!
//! What comes in: the metadata of all objects in namespaces, while a project asks for it and no longer. What goes out:
//! how many in a namespace belong to no application, and word to the applications that go there. What is remembered is
//! the name of each such object and nothing of the others.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
};

use futures::StreamExt;
use ithaca_api::{Application, annotation, tracking::Tracking};
use kube::{
    Api, ResourceExt,
    api::PartialObjectMeta,
    core::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::task::AbortHandle;

use crate::{
    cluster::Served,
    clusters::Holdings,
    follow,
    object::{GroupKind, KeyParts, ObjectKey},
    projects::Project,
    service::{Shared, Site},
};

/// Objects listed in one page.
const PAGE: u32 = 500;

/// Kinds that the cluster writes for itself and that nobody would put into Git. An empty kind is the whole group.
const OF_THE_CLUSTER: [(&str, &str); 8] = [
    ("", "Event"),
    ("events.k8s.io", ""),
    ("", "Endpoints"),
    ("discovery.k8s.io", ""),
    ("coordination.k8s.io", ""),
    ("metrics.k8s.io", ""),
    ("cert-manager.io", "CertificateRequest"),
    ("wgpolicyk8s.io", ""),
];

/// How many objects nobody manages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orphaned {
    /// Nobody wants to hear of them, or there is none.
    #[default]
    None,
    /// They are being listed: what was told before stays.
    Unknown,
    /// So many.
    Some(usize),
}

/// The objects that nobody manages.
#[derive(Debug, Default)]
pub struct Orphans {
    watches: HashMap<Place, Watch>,
    /// By namespace.
    unmanaged: HashMap<Box<str>, HashSet<ObjectKey>>,
}

/// Where objects are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    kind: GroupKind,
    /// None: in all.
    namespace: Option<String>,
}

impl Place {
    fn holds(&self, key: &ObjectKey) -> bool {
        let same = *key.kind == self.kind.kind && *key.group == self.kind.group;
        same && self.namespace.as_ref().is_none_or(|namespace| *namespace == *key.namespace)
    }
}

#[derive(Debug)]
struct Watch {
    complete: bool,
    /// At which version objects are looked for.
    version: String,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Orphans {
    /// How many there are where an application goes.
    pub fn of(&self, application: &Application, project: Option<&Project>) -> Orphaned {
        let Some(project) = project.filter(|project| project.orphans.warns()) else { return Orphaned::None };
        if !self.is_complete() {
            return Orphaned::Unknown;
        }
        let unmanaged = self.unmanaged.get(&*application.spec.destination.namespace).into_iter().flatten();
        match unmanaged.filter(|key| counts(project, key)).count() {
            0 => Orphaned::None,
            more => Orphaned::Some(more),
        }
    }

    fn is_complete(&self) -> bool {
        !self.watches.is_empty() && self.watches.values().all(|watch| watch.complete)
    }

    /// Takes over an object as it passes by. Returns whether the unmanaged ones are others than before.
    fn put(&mut self, key: ObjectKey, managed: bool) -> bool {
        if managed {
            return self.remove(&key);
        }
        self.unmanaged.entry(key.namespace.clone()).or_default().insert(key)
    }

    fn remove(&mut self, key: &ObjectKey) -> bool {
        let Some(of_namespace) = self.unmanaged.get_mut(&key.namespace) else { return false };
        let removed = of_namespace.remove(key);
        if of_namespace.is_empty() {
            self.unmanaged.remove(&key.namespace);
        }
        removed
    }

    /// Forgets what was looked for in a place and not seen. Returns whether there was any.
    fn retain(&mut self, place: &Place, seen: &HashSet<ObjectKey>) -> bool {
        let keys = self.unmanaged.values().flatten();
        let gone = keys.filter(|key| place.holds(key) && !seen.contains(*key));
        let gone: Vec<_> = gone.cloned().collect();
        gone.iter().filter(|key| self.remove(key)).count() > 0
    }
}

/// Whether a project wants to hear of an unmanaged object: kinds that it does not permit are none of its business.
fn counts(project: &Project, key: &ObjectKey) -> bool {
    let KeyParts { group, kind, namespace, name } = &**key;
    project.orphans.counts(group, kind, namespace, name)
        && project.permissions.permits_kind(group, kind, true, name)
}

/// Watches what has to be watched now: nothing where no project asks.
pub fn settle(shared: &Arc<Shared>) {
    let clusters: Vec<_> = shared.state().clusters.all().map(|there| there.cluster.clone()).collect();
    clusters.into_iter().for_each(|cluster| settle_at(&Site::new(shared, cluster)));
}

fn settle_at(site: &Site) {
    let mut state = site.state();
    let asked = state.projects.ask_for_orphans();
    let Some(there) = state.clusters.get_mut(site.cluster.id()) else { return };
    let Holdings { orphans, records, spec, .. } = there;
    if !asked {
        *orphans = Orphans::default();
        return;
    }
    // Asked in its turn: whoever comes last must not go by what was served before.
    let mut kinds = site.cluster.namespaced_kinds();
    let excludes = |kind: &GroupKind| records.rules().exclusions.excludes(&kind.group, &kind.kind);
    kinds.retain(|kind, _| !is_of_the_cluster(kind) && !excludes(kind));
    let places = kinds.into_iter().flat_map(|(kind, served)| {
        let namespaces = follow::places(spec, &served);
        namespaces.into_iter().map(move |namespace| (Place { kind: kind.clone(), namespace }, served.clone()))
    });
    let places: HashMap<Place, Served> = places.collect();
    let known: Vec<_> = orphans.watches.keys().cloned().collect();
    for place in known.iter().filter(|place| !places.contains_key(*place)) {
        orphans.watches.remove(place);
        orphans.retain(place, &HashSet::new());
    }
    for (place, served) in places {
        let version = &served.resource.version;
        // A version may not be served any more; what is remembered holds for the other too.
        if orphans.watches.get(&place).is_none_or(|watch| watch.version != *version) {
            let version = version.clone();
            let task = tokio::spawn(look(site.clone(), place.clone(), served)).abort_handle();
            orphans.watches.insert(place, Watch { complete: false, version, task });
        }
    }
}

fn is_of_the_cluster(kind: &GroupKind) -> bool {
    let same =
        |(group, of_it): &(&str, &str)| *group == kind.group && (of_it.is_empty() || *of_it == kind.kind);
    OF_THE_CLUSTER.iter().any(same)
}

/// Follows the objects of one place, by their metadata alone.
async fn look(site: Site, place: Place, served: Served) {
    let (client, kind) = (site.cluster.client(), &place.kind);
    let api: Api<PartialObjectMeta<DynamicObject>> = match &place.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &served.resource),
        None => Api::all_with(client, &served.resource),
    };
    let mut events =
        pin!(watcher(api, watcher::Config::default().page_size(PAGE)).backoff(ithaca_api::patience()));
    // Whoever changes the rules ends this watch.
    let tracking = site.rules().tracking.clone();
    let mut seen = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => seen.clear(),
            Ok(Event::InitApply(object)) => {
                let key = key_of(kind, &object);
                take(&site, &place, key.clone(), is_managed(&object, &tracking));
                seen.insert(key);
            }
            Ok(Event::Apply(object)) => {
                take(&site, &place, key_of(kind, &object), is_managed(&object, &tracking))
            }
            Ok(Event::Delete(object)) => take(&site, &place, key_of(kind, &object), true),
            Ok(Event::InitDone) => {
                site.holdings(|there| there.orphans.retain(&place, &seen));
                seen = HashSet::new();
                complete(&site, &place);
            }
            Err(error) => {
                tracing::debug!(%error, ?place, "failed to watch for orphaned objects, trying again");
                // What may not be listed does not keep the rest from being counted.
                if matches!(&error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code < 429)
                {
                    complete(&site, &place);
                }
            }
        }
    }
}

fn key_of(kind: &GroupKind, object: &PartialObjectMeta<DynamicObject>) -> ObjectKey {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    ObjectKey::new(&kind.group, &kind.kind, namespace, &object.name_any())
}

/// Whether an application, or another object, answers for an object.
fn is_managed(object: &PartialObjectMeta<DynamicObject>, tracking: &Tracking) -> bool {
    let tracked = match tracking.annotates() {
        true => object.annotations().contains_key(annotation::TRACKING_ID),
        false => object.labels().contains_key(&tracking.label),
    };
    tracked || !object.owner_references().is_empty()
}

fn take(site: &Site, place: &Place, key: ObjectKey, managed: bool) {
    let namespace = key.namespace.clone();
    let is_news = site.holdings(|Holdings { orphans, .. }| {
        // Nobody may ask any more since this watch was told to end.
        let asked = orphans.watches.contains_key(place);
        asked && orphans.put(key, managed) && orphans.is_complete()
    });
    if is_news == Some(true) {
        wake(site, |application| application.spec.destination.namespace == *namespace);
    }
}

fn complete(site: &Site, place: &Place) {
    let complete = site.holdings(|Holdings { orphans, .. }| {
        if let Some(watch) = orphans.watches.get_mut(place) {
            watch.complete = true;
        }
        orphans.is_complete()
    });
    if complete == Some(true) {
        wake(site, |_| true);
    }
}

/// Applications that go there and whose project asks have to be looked at again.
fn wake(site: &Site, concerns: impl Fn(&Application) -> bool) {
    let state = site.state();
    let there = |application| state.clusters.goes_to(application, site.cluster.id()) && concerns(application);
    for (uid, app) in state.apps.iter().filter(|(_, app)| there(&app.application)) {
        if state.projects.of(&app.application).is_some_and(|project| project.orphans.warns()) {
            site.queue.dirty(uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "web", name)
    }

    #[test]
    fn only_what_is_unmanaged_is_remembered() {
        let mut orphans = Orphans::default();
        assert!(!orphans.put(key("tracked"), true));
        assert!(orphans.put(key("stray"), false));
        assert!(!orphans.put(key("stray"), false), "no news");
        assert!(orphans.put(key("stray"), true), "adopted");
        assert!(orphans.unmanaged.is_empty());
    }

    #[test]
    fn what_a_full_list_does_not_hold_is_forgotten() {
        let mut orphans = Orphans::default();
        let other = ObjectKey::new("", "Secret", "web", "gone");
        for key in [key("stays"), key("gone"), other.clone()] {
            orphans.put(key, false);
        }
        let place = |namespace: Option<&str>| Place {
            kind: key("").group_kind(),
            namespace: namespace.map(str::to_owned),
        };
        assert!(!orphans.retain(&place(Some("shop")), &HashSet::new()), "it was looked for elsewhere");
        for namespace in [None, Some("web")] {
            orphans.put(key("gone"), false);
            assert!(orphans.retain(&place(namespace), &HashSet::from([key("stays")])));
            assert_eq!(orphans.unmanaged["web"], HashSet::from([key("stays"), other.clone()]));
        }
    }

    #[test]
    fn what_the_cluster_writes_for_itself_is_no_orphan() {
        for key in [("", "Event"), ("coordination.k8s.io", "Lease"), ("discovery.k8s.io", "EndpointSlice")] {
            assert!(
                is_of_the_cluster(&GroupKind { group: key.0.to_owned(), kind: key.1.to_owned() }),
                "{key:?}"
            );
        }
        assert!(!is_of_the_cluster(&key("a").group_kind()));
    }
}
