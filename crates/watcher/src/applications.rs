//! The watch on Applications: each change that the API server tells, as events.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use ithaca_api::ApplicationNamespaces;
use ithaca_chassis::ReadyFlag;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};

use crate::application::{Watched, WatchedObject};
use crate::event::{Event, Events};

/// How many objects are asked for at once: whole objects are large, and only small parts are kept.
const PAGE: u32 = 100;

/// Watches until nobody listens any more.
pub async fn watch(client: Client, namespaces: &ApplicationNamespaces, events: Events, ready: ReadyFlag) {
    let api: Api<WatchedObject> = match namespaces.only() {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let config = watcher::Config::default().page_size(PAGE);
    let mut stream = watcher(api, config)
        .inspect_err(|error| {
            let why = ithaca_api::unreadable(error);
            tracing::warn!(why, %error, "failed to watch Applications, trying again");
        })
        .backoff(ithaca_api::patience())
        .boxed();
    let mut listed: BTreeSet<Arc<str>> = BTreeSet::new();
    while let Some(event) = stream.next().await {
        let Ok(event) = event else { continue };
        let told = match event {
            watcher::Event::Init => {
                listed.clear();
                continue;
            }
            watcher::Event::InitApply(object) => {
                let Some(watched) = Watched::new(&object, namespaces) else { continue };
                listed.insert(watched.uid.clone());
                Event::Application(Box::new(watched))
            }
            watcher::Event::InitDone => {
                ready.set(true);
                Event::Only(std::mem::take(&mut listed))
            }
            watcher::Event::Apply(object) => match Watched::new(&object, namespaces) {
                Some(watched) => Event::Application(Box::new(watched)),
                None => continue,
            },
            watcher::Event::Delete(object) => match Watched::new(&object, namespaces) {
                Some(watched) => Event::Removed(watched.uid),
                None => continue,
            },
        };
        if events.send(told).is_err() {
            return;
        }
    }
}
