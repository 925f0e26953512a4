//! What senders sign with, as it changes: the installation's own Secret, and those that its values may refer to.
//!
//! In: watches in the control plane's namespace. Out: what is set, once all of it was read and then with each change.

use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt, TryStreamExt};
use ithaca_api::annotation::{PART_OF_LABEL, SETTINGS_SECRET};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;

use super::Secrets;
use crate::watch as watched;

/// What Argo CD asks of the Secrets that its settings may refer to, as the value of the label.
const PART_OF: &str = "argocd";

/// Something that was told of.
enum Told {
    Own(Option<Secret>),
    Other(watcher::Event<Secret>),
}

/// What is known so far.
#[derive(Default)]
struct Known {
    own: Option<BTreeMap<String, ByteString>>,
    others: BTreeMap<String, BTreeMap<String, ByteString>>,
    /// The Secrets of a list that is not complete yet.
    listed: HashSet<String>,
    has_others: bool,
}

/// Follows them until nobody listens any more.
pub async fn follow(client: Client, namespace: &str, secrets: watch::Sender<Option<Secrets>>) {
    let own = watched::named::<Secret>(client.clone(), namespace, SETTINGS_SECRET);
    let api: Api<Secret> = Api::namespaced(client, namespace);
    let labels = watcher::Config::default().labels(&format!("{PART_OF_LABEL}={PART_OF}"));
    let others = watcher(api, labels).inspect_err(warn).backoff(ithaca_api::patience());
    let others = others.filter_map(async |event| event.ok()).map(Told::Other);
    let mut told = futures::stream::select_all([own.map(Told::Own).boxed(), others.boxed()]);
    let mut known = Known::default();
    while let Some(told) = told.next().await {
        known.take(told);
        if let Some(found) = known.secrets() {
            secrets.send_if_modified(|told| {
                let is_news = told.as_ref() != Some(&found);
                *told = Some(found);
                is_news
            });
        }
        if secrets.is_closed() {
            return;
        }
    }
}

impl Known {
    fn take(&mut self, told: Told) {
        match told {
            Told::Own(secret) => self.own = Some(secret.and_then(|secret| secret.data).unwrap_or_default()),
            Told::Other(watcher::Event::Init) => self.listed.clear(),
            Told::Other(watcher::Event::InitApply(secret)) => {
                self.listed.insert(secret.name_any());
                self.put(secret);
            }
            Told::Other(watcher::Event::InitDone) => {
                self.others.retain(|name, _| self.listed.contains(name));
                self.has_others = true;
            }
            Told::Other(watcher::Event::Apply(secret)) => self.put(secret),
            Told::Other(watcher::Event::Delete(secret)) => drop(self.others.remove(&secret.name_any())),
        }
    }

    fn put(&mut self, secret: Secret) {
        self.others.insert(secret.name_any(), secret.data.unwrap_or_default());
    }

    /// What is set, once all is known.
    fn secrets(&self) -> Option<Secrets> {
        let own = self.own.as_ref().filter(|_| self.has_others)?;
        Some(Secrets::new(own, &self.others))
    }
}

fn warn(error: &watcher::Error) {
    tracing::warn!(%error, "failed to watch the Secrets that webhooks are signed with");
}

#[cfg(test)]
mod tests {
    use super::super::secrets::GITHUB;
    use super::*;

    fn secret(name: &str, key: &str, value: &str) -> Secret {
        let data = BTreeMap::from([(key.to_owned(), ByteString(value.as_bytes().to_vec()))]);
        let mut secret = Secret { data: Some(data), ..Secret::default() };
        secret.metadata.name = Some(name.to_owned());
        secret
    }

    #[test]
    fn what_is_referred_to_counts_while_it_is_there() {
        let mut known = Known::default();
        known.take(Told::Own(Some(secret(SETTINGS_SECRET, GITHUB, "$vault:github"))));
        assert!(known.secrets().is_none(), "others are not known yet");
        known.take(Told::Other(watcher::Event::Init));
        known.take(Told::Other(watcher::Event::InitApply(secret("vault", "github", "mellon\n"))));
        known.take(Told::Other(watcher::Event::InitDone));
        let github =
            |known: &Known| known.secrets().and_then(|found| found.get(GITHUB).ok()?.map(<[u8]>::to_vec));
        assert_eq!(github(&known).as_deref(), Some(b"mellon".as_slice()));
        known.take(Told::Other(watcher::Event::Apply(secret("vault", "github", "friend"))));
        assert_eq!(github(&known).as_deref(), Some(b"friend".as_slice()));
        // A list without it, as after a connection was lost.
        known.take(Told::Other(watcher::Event::Init));
        known.take(Told::Other(watcher::Event::InitDone));
        assert!(known.secrets().is_some_and(|found| found.get(GITHUB).is_err()), "nobody is believed");
    }
}
