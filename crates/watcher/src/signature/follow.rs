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
                let before = self.projects.len();
                self.projects.retain(|name, _| seen.contains(name));
                self.origins.retain(|name, _| seen.contains(name));
                let was_listed = std::mem::replace(&mut self.listed, true);
                !was_listed || before != self.projects.len()
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
                self.remove(&name)
            }
        }
    }

    fn remove(&mut self, name: &str) -> bool {
        self.origins.remove(name);
        self.projects.remove(name).is_some()
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
