//! As whom repositories are reached, from Secrets and ConfigMaps in the control plane's namespace.
//!
//! What comes in: those objects as they change. What goes out: for each repository an `Access`, to whoever speaks to
//! it. What it does not do: let anything of that out of the process, or into an error or a log.

mod clients;
mod follow;
mod github;
mod guard;
mod index;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ithaca_api::repository::{Credential, RepositoryAccess};
use reqwest::Client;
use reqwest::header::HeaderValue;
use tokio::sync::watch;
use url::Url;

pub use follow::follow;
pub use index::{Access, Index};

use self::clients::Clients;
use self::github::Tokens;
use self::guard::Guard;
use crate::repository::{RepositoryError, RepositoryKey, is_internal};

/// What is known of credentials, for whoever speaks to repositories; cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    index: watch::Receiver<Option<Arc<Index>>>,
    clients: Clients,
    tokens: Tokens,
}

impl Credentials {
    /// Of what is known now and from now on. A connection may stay silent for `silence`.
    pub fn new(index: watch::Receiver<Option<Arc<Index>>>, silence: Duration) -> Self {
        Self { index, clients: Clients::new(silence), tokens: Tokens::default() }
    }

    /// What is known, once it is.
    pub async fn first(&mut self) -> Option<Arc<Index>> {
        self.index.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// What is known, once that has changed. Never ends where nobody tells any more.
    pub async fn changed(&mut self) -> Arc<Index> {
        match self.index.changed().await {
            Ok(()) => self.index.borrow_and_update().clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// How a repository is reached, and as whom.
    pub fn access(&self, repository: &RepositoryKey) -> Result<Access, RepositoryError> {
        match self.index.borrow().as_deref() {
            Some(index) => index.access(repository),
            None => Ok(Access::default()),
        }
    }

    /// How another server is reached that a repository's own leads to: by the same proxy, as nobody, and known by what is
    /// noted of its own host.
    pub fn elsewhere(&self, access: &Access, url: &Url) -> Access {
        let index = self.index.borrow();
        let authorities = index.as_deref().and_then(|index| index.authorities(url.as_str()));
        let settings =
            RepositoryAccess { credential: None, client_certificate: None, ..access.settings.clone() };
        Access { settings, secret: None, authorities, known_hosts: None }
    }

    /// Whether content of a repository may name another place: an inner one only where the repository is inside as well, or
    /// a Secret names that place.
    pub fn may_lead(&self, from: &RepositoryKey, to: &str) -> bool {
        let index = self.index.borrow();
        let is_named = || index.as_deref().is_some_and(|index| index.names(to, from.scope()));
        !is_internal(to) || is_internal(from.url()) || is_named()
    }

    /// A client to speak HTTP with to a repository's server. As whom it is spoken to is not a part of it.
    pub fn client(&self, repository: &RepositoryKey, access: &Access) -> Result<Client, RepositoryError> {
        let failed = |reason: &str| RepositoryError::Remote {
            repository: repository.to_string(),
            reason: reason.to_owned(),
        };
        self.clients.get(access, None).map_err(failed)
    }

    /// A client for the file at a URL, whose URL anybody may have chosen: as nobody, and to no address inside unless a Secret
    /// of a repository names that server.
    pub fn guarded_client(&self, file: &RepositoryKey, url: &Url) -> Result<Client, RepositoryError> {
        let failed = |reason: String| RepositoryError::ValueFile { url: file.to_string(), reason };
        let access = self.elsewhere(&self.access(file)?, url);
        let place = url.host_str().map(str::to_owned).zip(url.port_or_known_default());
        let is_known =
            self.index.borrow().as_deref().is_some_and(|index| index.names(url.as_str(), file.scope()));
        let proxy = access.settings.proxy.reveal();
        let guard =
            Guard { known: place.filter(|_| is_known), proxy: (!proxy.is_empty()).then(|| proxy.to_owned()) };
        guard.check(url).map_err(|error| failed(error.to_string()))?;
        self.clients.get(&access, Some(guard)).map_err(|reason| failed(reason.to_owned()))
    }

    /// The header that tells a repository's server who asks. It must not be sent to another one.
    pub async fn authorization(
        &self,
        repository: &RepositoryKey,
        access: &Access,
    ) -> Result<Option<HeaderValue>, RepositoryError> {
        let basic = |username: &str, password: &str| {
            format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
        };
        let failed = |reason: String| RepositoryError::Remote { repository: repository.to_string(), reason };
        let text = match &access.settings.credential {
            None | Some(Credential::SshKey(_)) => return Ok(None),
            Some(Credential::Basic { username, password }) => basic(username, password.reveal()),
            Some(Credential::Bearer(token)) => format!("Bearer {}", token.reveal()),
            Some(Credential::GitHubApp(app)) => {
                let client = self.client(repository, access)?;
                let token = self.tokens.get(&client, app, repository.url()).await.map_err(failed)?;
                basic("x-access-token", token.reveal())
            }
        };
        let header = HeaderValue::try_from(text);
        let mut header =
            header.map_err(|_| failed("its token has characters that no header may have".to_owned()))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::repository::ClientCertificate;

    use super::*;

    fn of(index: Index) -> (watch::Sender<Option<Arc<Index>>>, Credentials) {
        let (told, index) = watch::channel(Some(Arc::new(index)));
        (told, Credentials::new(index, Duration::from_secs(5)))
    }

    #[test]
    fn another_server_is_reached_as_nobody_by_the_same_proxy_and_by_its_own_certificate() {
        let mut index = Index::default();
        index.set_authorities([("files.example.org".to_owned(), "PEM".to_owned())].into());
        let (_told, credentials) = of(index);
        let certificate = ClientCertificate { certificate: "shown".to_owned(), key: "key".to_owned().into() };
        let settings = RepositoryAccess {
            credential: Some(Credential::Bearer("token".to_owned().into())),
            client_certificate: Some(certificate),
            proxy: "http://proxy.example.org".to_owned().into(),
            ..RepositoryAccess::default()
        };
        let access = Access {
            settings,
            secret: Some("own".to_owned()),
            authorities: Some("its own".into()),
            known_hosts: None,
        };
        let url = Url::parse("https://files.example.org/a").expect("a URL");
        let found = credentials.elsewhere(&access, &url);
        let proxy = "http://proxy.example.org".to_owned().into();
        let settings = RepositoryAccess { proxy, ..RepositoryAccess::default() };
        let expected = Access { settings, authorities: Some("PEM".into()), ..Access::default() };
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn what_is_known_is_told_once_it_is_and_as_it_changes() {
        let (told, index) = watch::channel(None);
        let mut credentials = Credentials::new(index, Duration::from_secs(5));
        let mut known = Index::default();
        known.set_known_hosts("one");
        let known = Arc::new(known);
        told.send_replace(Some(known.clone()));
        assert_eq!(credentials.first().await, Some(known.clone()));
        told.send_replace(Some(Arc::default()));
        assert_eq!(credentials.changed().await, Arc::default());
        told.send_replace(Some(known.clone()));
        assert_eq!(credentials.changed().await, known);
        drop(told);
        let changed = tokio::time::timeout(Duration::from_millis(10), credentials.changed());
        assert!(changed.await.is_err(), "nobody tells any more");
    }
}
