//! How credentials become known, and change: the Secrets and ConfigMaps that Argo CD keeps them in.
//!
//! What comes in: watches in the control plane's namespace. What goes out: an index of all that is known, once all of it
//! was read and then with each change. What a Secret holds shows nowhere.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use ithaca_api::RepositorySpec;
use ithaca_api::annotation::SECRET_TYPE_LABEL;
use ithaca_chassis::ReadyFlag;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;

use super::Index;
use crate::watch as watched;

const KNOWN_HOSTS: &str = "argocd-ssh-known-hosts-cm";
const KNOWN_HOSTS_KEY: &str = "ssh_known_hosts";
const AUTHORITIES: &str = "argocd-tls-certs-cm";

/// Something that was told of.
enum Told {
    Secret(watcher::Event<Secret>),
    KnownHosts(Option<ConfigMap>),
    Authorities(Option<ConfigMap>),
}

/// What is known so far.
#[derive(Default)]
struct Known {
    index: Index,
    /// The Secrets of a list that is not complete yet.
    listed: HashSet<String>,
    has_secrets: bool,
    has_known_hosts: bool,
    has_authorities: bool,
}

/// Follows them until nobody listens any more.
pub async fn follow(
    client: Client,
    namespace: &str,
    index: watch::Sender<Option<Arc<Index>>>,
    ready: ReadyFlag,
) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let config =
        watcher::Config::default().labels(&format!("{SECRET_TYPE_LABEL} in (repository, repo-creds)"));
    let secrets = watcher(secrets, config).inspect_err(warn).backoff(ithaca_api::patience());
    let secrets = secrets.filter_map(async |event| event.ok()).map(Told::Secret).boxed();
    let object = |name: &'static str| watched::named::<ConfigMap>(client.clone(), namespace, name);
    let known_hosts = object(KNOWN_HOSTS).map(Told::KnownHosts).boxed();
    let authorities = object(AUTHORITIES).map(Told::Authorities).boxed();
    let mut told = futures::stream::select_all([secrets, known_hosts, authorities]);
    let mut known = Known::default();
    while let Some(told) = told.next().await {
        known.take(told);
        if !known.is_complete() {
            continue;
        }
        ready.set(true);
        index.send_if_modified(|published| {
            let is_news = published.as_deref() != Some(&known.index);
            if is_news {
                *published = Some(Arc::new(known.index.clone()));
            }
            is_news
        });
        if index.is_closed() {
            return;
        }
    }
}

impl Known {
    fn take(&mut self, told: Told) {
        let data = |map: Option<ConfigMap>| map.and_then(|map| map.data).unwrap_or_default();
        match told {
            Told::Secret(event) => self.take_secret(event),
            Told::KnownHosts(map) => {
                self.index.set_known_hosts(data(map).get(KNOWN_HOSTS_KEY).map_or("", String::as_str));
                self.has_known_hosts = true;
            }
            Told::Authorities(map) => {
                self.index.set_authorities(data(map));
                self.has_authorities = true;
            }
        }
    }

    fn take_secret(&mut self, event: watcher::Event<Secret>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(secret) => {
                self.put(&secret);
                self.listed.insert(secret.name_any());
            }
            watcher::Event::InitDone => {
                self.index.only(|secret| self.listed.contains(secret));
                self.has_secrets = true;
            }
            watcher::Event::Apply(secret) => self.put(&secret),
            watcher::Event::Delete(secret) => self.index.put(&secret.name_any(), None),
        }
    }

    fn put(&mut self, secret: &Secret) {
        let (name, spec) = (secret.name_any(), RepositorySpec::read(secret));
        if let Some(Err(error)) = spec.as_ref().map(|spec| &spec.access) {
            tracing::warn!(secret = name, %error, "failed to read the Secret of a repository");
        }
        self.index.put(&name, spec);
    }

    fn is_complete(&self) -> bool {
        self.has_secrets && self.has_known_hosts && self.has_authorities
    }
}

fn warn(error: &watcher::Error) {
    let why = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => match status.code {
            403 => {
                "this account may not get, list and watch Secrets and ConfigMaps there: a Role must let it"
            }
            _ => "the API server refused",
        },
        _ => "the cluster did not answer",
    };
    tracing::warn!(
        why,
        "failed to watch the credentials of repositories, trying again; none is asked before they were read once"
    );
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use watcher::Event;

    use super::*;
    use crate::repository::RepositoryKey;

    fn secret(name: &str) -> Secret {
        let data = [("url", format!("https://example.org/{name}")), ("bearerToken", name.to_owned())];
        let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())));
        let mut secret = Secret { data: Some(data.into()), ..Secret::default() };
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repository".to_owned())].into());
        secret
    }

    /// Of these repositories those that there are credentials for.
    fn reached<'a>(known: &Known, names: &[&'a str]) -> Vec<&'a str> {
        let is_reached = |name: &&&str| {
            let key = RepositoryKey::new(&format!("https://example.org/{name}"), "", false).expect("a URL");
            known.index.access(&key).is_ok_and(|access| access.secret.as_deref() == Some(**name))
        };
        names.iter().filter(is_reached).copied().collect()
    }

    #[test]
    fn nothing_counts_before_all_was_read_once() {
        let told = |number: usize| match number {
            0 => Told::Secret(Event::InitDone),
            1 => Told::KnownHosts(None),
            _ => Told::Authorities(None),
        };
        for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
            let mut known = Known::default();
            known.take(Told::Secret(Event::Init));
            for number in order {
                assert!(!known.is_complete(), "{order:?}");
                known.take(told(number));
            }
            assert!(known.is_complete(), "{order:?}");
        }
    }

    #[test]
    fn secrets_count_from_when_they_are_written_until_they_are_gone() {
        let mut known = Known::default();
        let all = ["a", "b", "c"];
        let mut take = |events: Vec<Event<Secret>>| {
            events.into_iter().for_each(|event| known.take(Told::Secret(event)));
            reached(&known, &all)
        };
        let list = |names: &[&str]| {
            let listed = names.iter().map(|name| Event::InitApply(secret(name)));
            [Event::Init].into_iter().chain(listed).chain([Event::InitDone]).collect()
        };
        assert_eq!(take(list(&["a", "b"])), ["a", "b"]);
        assert_eq!(take(vec![Event::Apply(secret("c"))]), ["a", "b", "c"]);
        assert_eq!(take(vec![Event::Delete(secret("a"))]), ["b", "c"]);
        // What went while nobody watched is in no list.
        assert_eq!(take(list(&["c"])), ["c"]);
        assert!(take(list(&[])).is_empty());
    }

    #[test]
    fn keys_and_authorities_of_hosts_are_read_and_forgotten() {
        let map = |key: &str, text: &str| {
            let data = Some([(key.to_owned(), text.to_owned())].into());
            Some(ConfigMap { data, ..ConfigMap::default() })
        };
        let access = |known: &Known, url: &str| {
            let key = RepositoryKey::new(url, "", false).expect("a URL");
            known.index.access(&key).expect("access")
        };
        let mut known = Known::default();
        known.take(Told::KnownHosts(map(KNOWN_HOSTS_KEY, "lines")));
        known.take(Told::Authorities(map("example.org", "PEM")));
        let (ssh, web) = ("git@example.org:a/b", "https://example.org/a");
        assert_eq!(access(&known, ssh).known_hosts.as_deref(), Some("lines"));
        assert_eq!(access(&known, web).authorities.as_deref(), Some("PEM"));
        known.take(Told::KnownHosts(None));
        known.take(Told::Authorities(None));
        assert_eq!(access(&known, ssh).known_hosts.as_deref(), Some(""));
        assert_eq!(access(&known, web).authorities, None);
    }
}
