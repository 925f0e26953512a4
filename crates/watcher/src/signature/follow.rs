//! AppProjects and the ConfigMaps with keys, as they change.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use ithaca_api::project::{AppProjectSpec, Integrity};
use ithaca_chassis::ReadyFlag;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};

use super::{AllowedSigners, CosignKeys, Keyring, OpenPgpKeys, Origins, Rules, cosign, openpgp, ssh};
use crate::event::{Event, Events};
use crate::watch;

/// What is known so far. Nothing is told before all is.
#[derive(Default)]
struct Known {
    listed: bool,
    projects: BTreeMap<String, Arc<Integrity>>,
    origins: BTreeMap<String, Arc<Origins>>,
    openpgp: Option<OpenPgpKeys>,
    ssh: Option<AllowedSigners>,
    cosign: Option<CosignKeys>,
}

/// Follows them until nobody listens any more.
pub async fn follow(client: Client, namespace: &str, events: Events, ready: ReadyFlag) {
    let mut projects = pin!(projects(client.clone(), namespace));
    let mut openpgp_keys = pin!(entries(client.clone(), namespace, openpgp::CONFIG_MAP));
    let mut signers = pin!(entries(client.clone(), namespace, ssh::CONFIG_MAP));
    let mut cosign_keys = pin!(entries(client, namespace, cosign::CONFIG_MAP));
    let (mut known, mut seen) = (Known::default(), BTreeSet::new());
    loop {
        let is_news = tokio::select! {
            Some(event) = projects.next() => known.take(event, &mut seen),
            Some(data) = openpgp_keys.next() => {
                let (keys, unreadable) = OpenPgpKeys::read(texts(&data));
                warn(openpgp::CONFIG_MAP, &unreadable);
                known.openpgp.replace(keys.clone()).as_ref() != Some(&keys)
            }
            Some(data) = signers.next() => {
                let (signers, unreadable) = AllowedSigners::read(texts(&data));
                warn(ssh::CONFIG_MAP, &unreadable);
                known.ssh.replace(signers.clone()).as_ref() != Some(&signers)
            }
            Some(data) = cosign_keys.next() => {
                let (keys, unreadable) = CosignKeys::read(texts(&data));
                warn(cosign::CONFIG_MAP, &unreadable);
                known.cosign.replace(keys.clone()).as_ref() != Some(&keys)
            }
            else => return,
        };
        let Some(rules) = known.rules().filter(|_| is_news) else { continue };
        if events.send(Event::Rules(rules)).is_err() {
            return;
        }
        ready.set(true);
    }
}

impl Known {
    fn rules(&self) -> Option<Rules> {
        let (openpgp, ssh, cosign) = (self.openpgp.clone()?, self.ssh.clone()?, self.cosign.clone()?);
        let keyring = Arc::new(Keyring { openpgp, ssh, cosign });
        let (projects, origins) = (self.projects.clone(), self.origins.clone());
        self.listed.then_some(Rules { projects, origins, keyring })
    }

    /// Returns whether there is anything new in it.
    fn take(&mut self, event: watcher::Event<DynamicObject>, seen: &mut BTreeSet<String>) -> bool {
        match event {
            watcher::Event::Init => {
                seen.clear();
                false
            }
            watcher::Event::InitApply(object) => {
                seen.extend(object.metadata.name.clone());
                self.put(object)
            }
            watcher::Event::Apply(object) => self.put(object),
            watcher::Event::Delete(object) => {
                self.remove(object.metadata.name.as_deref().unwrap_or_default())
            }
            watcher::Event::InitDone => {
                let before = self.origins.len();
                self.projects.retain(|name, _| seen.contains(name));
                self.origins.retain(|name, _| seen.contains(name));
                let was_listed = std::mem::replace(&mut self.listed, true);
                !was_listed || before != self.origins.len()
            }
        }
    }

    fn put(&mut self, object: DynamicObject) -> bool {
        let name = object.metadata.name.unwrap_or_default();
        match serde_json::from_value::<AppProjectSpec>(object.data["spec"].clone()) {
            Ok(spec) => {
                let (integrity, origins) = (Integrity::of(&spec), Origins::of(&spec));
                let is_news = self.projects.get(&name).is_none_or(|known| **known != integrity)
                    || self.origins.get(&name).is_none_or(|known| **known != origins);
                self.projects.insert(name.clone(), Arc::new(integrity));
                self.origins.insert(name, Arc::new(origins));
                is_news
            }
            Err(error) => {
                tracing::error!(%error, project = name, "failed to read an AppProject; its CRD is not the one of this version");
                // It is there, and nobody knows what it asks for: it permits nothing.
                let nothing = Arc::new(Origins::of(&AppProjectSpec::default()));
                self.projects.remove(&name);
                self.origins.insert(name, nothing.clone()) != Some(nothing)
            }
        }
    }

    fn remove(&mut self, name: &str) -> bool {
        self.projects.remove(name);
        self.origins.remove(name).is_some()
    }
}

fn projects(client: Client, namespace: &str) -> impl Stream<Item = watcher::Event<DynamicObject>> + use<> {
    let kind = GroupVersionKind::gvk(ithaca_api::GROUP, ithaca_api::VERSION, "AppProject");
    let resource = ApiResource::from_gvk_with_plural(&kind, "appprojects");
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
    let stream = watcher(api, watcher::Config::default()).inspect_err(|error| {
        let why = ithaca_api::unreadable(error);
        tracing::warn!(why, %error, "failed to watch AppProjects, trying again; nothing is said before they were read once");
    });
    stream.backoff(ithaca_api::patience()).filter_map(async |event| event.ok())
}

/// The entries of a ConfigMap, which may be absent.
fn entries(
    client: Client,
    namespace: &str,
    name: &'static str,
) -> impl Stream<Item = BTreeMap<String, String>> + use<> {
    let stream = watch::named::<ConfigMap>(client, namespace, name);
    stream.map(|object| object.and_then(|object| object.data).unwrap_or_default())
}

fn texts(data: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    data.iter().map(|(name, text)| (name.as_str(), text.as_str()))
}

fn warn(config_map: &str, unreadable: &[String]) {
    for problem in unreadable {
        tracing::warn!("failed to read ConfigMap {config_map}: {problem}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use watcher::Event;

    use super::*;
    use crate::repository::RepositoryKey;

    const URL: &str = "https://example.org/app";

    fn project(name: &str, spec: Value) -> DynamicObject {
        let object = json!({"metadata": {"name": name}, "spec": spec});
        serde_json::from_value(object).expect("an object")
    }

    fn open(name: &str) -> DynamicObject {
        project(name, json!({"sourceRepos": ["*"]}))
    }

    fn known() -> Known {
        let (openpgp, ssh, cosign) =
            (Some(Default::default()), Some(Default::default()), Some(Default::default()));
        Known { openpgp, ssh, cosign, ..Known::default() }
    }

    /// Those of these projects that permit the repository.
    fn permitting<'a>(known: &Known, names: &[&'a str]) -> Vec<&'a str> {
        let rules = known.rules().expect("all is known");
        let key = RepositoryKey::new(URL, "", false).expect("a URL");
        names.iter().filter(|name| rules.permits(name, URL, &key)).copied().collect()
    }

    #[test]
    fn projects_count_from_when_all_are_listed_until_they_are_gone() {
        let (mut known, mut seen, names) = (known(), BTreeSet::new(), ["a", "b"]);
        assert!(!known.take(Event::Init, &mut seen));
        assert!(known.take(Event::InitApply(open("a")), &mut seen) && known.rules().is_none());
        assert!(known.take(Event::InitDone, &mut seen));
        assert!(known.take(Event::Apply(open("b")), &mut seen));
        assert_eq!(permitting(&known, &names), ["a", "b"]);
        assert!(!known.take(Event::Apply(open("b")), &mut seen), "it is as it was");
        assert!(known.take(Event::Apply(project("b", json!({"sourceRepos": []}))), &mut seen));
        assert_eq!(permitting(&known, &names), ["a"]);
        let signed = json!({"sourceRepos": ["*"], "signatureKeys": [{"keyID": "0123456789ABCDEF"}]});
        assert!(known.take(Event::Apply(project("a", signed)), &mut seen));
        assert!(known.rules().and_then(|rules| rules.of("a")).is_some_and(|rule| rule.asks()));
        // What went while nobody watched is in no list.
        known.take(Event::Init, &mut seen);
        known.take(Event::InitApply(open("b")), &mut seen);
        assert!(known.take(Event::InitDone, &mut seen));
        assert_eq!(permitting(&known, &names), ["b"]);
        assert!(known.take(Event::Delete(open("b")), &mut seen));
        assert!(!known.take(Event::Delete(open("b")), &mut seen));
        assert!(permitting(&known, &names).is_empty());
    }

    /// The default project permits everything where nobody made it; one that cannot be read is another thing.
    #[test]
    fn a_project_that_cannot_be_read_permits_nothing() {
        let (mut known, mut seen, names) = (known(), BTreeSet::new(), ["default", "shop"]);
        known.take(Event::Init, &mut seen);
        known.take(Event::InitDone, &mut seen);
        assert_eq!(permitting(&known, &names), ["default"]);
        for name in names {
            known.take(Event::Apply(open(name)), &mut seen);
            assert!(known.take(Event::Apply(project(name, json!({"sourceRepos": 7}))), &mut seen));
        }
        assert!(permitting(&known, &names).is_empty());
        assert!(known.rules().is_some_and(|rules| names.iter().all(|name| rules.of(name).is_none())));
        assert!(known.take(Event::Delete(open("default")), &mut seen));
        assert_eq!(permitting(&known, &names), ["default"]);
    }
}
