//! The watch of the Applications: from the Kubernetes API to the board.

use std::{collections::BTreeSet, pin::pin, sync::Arc};

use futures::{StreamExt, TryStreamExt, future::ready};
use ithaca_api::{Application, ApplicationNamespaces, patience};
use ithaca_chassis::ReadyFlag;
use kube::{
    Api, Client, Resource,
    core::error_boundary::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};

use crate::{
    board::Board,
    summary::{Key, Summary},
};

/// Objects asked for at once: what is in memory at the start beyond the summaries.
const PAGE: u32 = 50;

/// Keeps the board as the API has the Applications, for ever. Failures are waited out.
pub async fn follow(
    client: Client,
    namespaces: ApplicationNamespaces,
    board: Arc<Board>,
    is_ready: ReadyFlag,
) {
    let api = match namespaces.only() {
        Some(namespace) => Api::<DeserializeGuard<Application>>::namespaced(client, namespace),
        None => Api::all(client),
    };
    let concerns = |event: &Event<DeserializeGuard<Application>>| match event {
        Event::InitApply(object) | Event::Apply(object) | Event::Delete(object) => {
            namespaces.includes(object.meta())
        }
        Event::Init | Event::InitDone => true,
    };
    let config = watcher::Config::default().page_size(PAGE);
    let events = watcher::watcher(api, config).backoff(patience());
    let mut events = pin!(events.try_filter(|event| ready(concerns(event))));
    let mut seen = BTreeSet::new();
    let mut is_told = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => seen.clear(),
            Ok(Event::InitApply(object)) => {
                let summary = Summary::of(&object);
                seen.insert(summary.key());
                board.put(summary);
            }
            Ok(Event::InitDone) => {
                board.retain(&std::mem::take(&mut seen));
                is_ready.set(true);
                is_told = false;
            }
            Ok(Event::Apply(object)) => board.put(Summary::of(&object)),
            Ok(Event::Delete(object)) => board.remove(Key::of(object.meta())),
            Err(error) if is_told => tracing::debug!(%error, "failed to watch the Applications"),
            Err(error) => {
                is_told = true;
                let why = ithaca_api::unreadable(&error);
                tracing::warn!(why, %error, "failed to watch Applications, trying again");
            }
        }
    }
}
