//! Git LFS: files that stand in Git as pointers, had from the server that holds them.
//!
//! What comes in: pointers that somebody reads, and the repository that they are in. What goes out: their contents on
//! disk, checked against the pointers. What it does not do: look for pointers, or decide whether a repository uses it.
//! Who asks is told to the repository's own server alone; where that leads elsewhere, only what it says goes along.

mod batch;
mod endpoint;
mod objects;
mod pointer;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

use self::batch::{Action, Answer, MEDIA_TYPE, MOST, Question};
use self::endpoint::{Endpoint, endpoint};
use self::objects::Refused;
use super::limits::Limits;
use crate::credentials::{Access, Credentials};
use crate::repository::{RepositoryError, RepositoryKey};
use crate::web::{Way, Web, WebError, same_server, text};

pub use objects::Objects;
pub use pointer::{LONGEST, Pointer};

/// The longest answer about a batch of objects.
const LONGEST_ANSWER: u64 = 4 << 20;
/// How many objects are fetched at once.
const AT_ONCE: usize = 4;

/// The contents of a repository, and how more of them are had. One call fetches at a time.
pub(super) struct Lfs {
    repository: RepositoryKey,
    credentials: Credentials,
    limits: Limits,
    objects: Objects,
    fetching: tokio::sync::Mutex<()>,
}

/// A server that is asked.
struct Server {
    url: Url,
    web: Web,
    /// What is shown to it.
    headers: HeaderMap,
}

impl Lfs {
    pub(super) fn new(
        repository: RepositoryKey,
        credentials: Credentials,
        limits: Limits,
        objects: Objects,
    ) -> Self {
        Self { repository, credentials, limits, objects, fetching: tokio::sync::Mutex::default() }
    }

    /// What is here.
    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Has the contents of files, by their paths; `config` is the text of `.lfsconfig` beside them.
    pub(super) async fn fetch(
        &self,
        files: &BTreeMap<String, Pointer>,
        config: Option<&[u8]>,
    ) -> Result<(), RepositoryError> {
        let way = Way::new(self.repository.clone(), self.credentials.clone(), self.limits.call);
        way.within_limit(async {
            let _alone = self.fetching.lock().await;
            let missing: BTreeMap<&Pointer, &String> = files
                .iter()
                .filter(|(_, pointer)| !self.objects.has(pointer))
                .map(|(path, pointer)| (pointer, path))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            let server = self.server(config).await?;
            let missing: Vec<_> = missing.into_iter().collect();
            for part in missing.chunks(MOST) {
                self.fetch_part(&server, part).await?;
            }
            self.objects.tidy(|oid| files.values().any(|pointer| pointer.oid == oid));
            Ok(())
        })
        .await
    }

    async fn fetch_part(&self, server: &Server, part: &[(&Pointer, &String)]) -> Result<(), RepositoryError> {
        let answer = self.ask(server, part.iter().map(|(pointer, _)| *pointer)).await?;
        let fetched: Vec<_> =
            part.iter().map(|(pointer, path)| self.fetch_file(server, &answer, pointer, path)).collect();
        // Of several that cannot be had the same is told each time.
        stream::iter(fetched).buffered(AT_ONCE).try_collect().await
    }

    /// Has the content of one file.
    async fn fetch_file(
        &self,
        server: &Server,
        answer: &Answer,
        pointer: &Pointer,
        path: &str,
    ) -> Result<(), RepositoryError> {
        let about = |reason: String| self.refused(&format!("{path}: {reason}"));
        let action = answer.action(pointer).map_err(about)?;
        match self.fetch_object(server, pointer, action).await {
            Ok(()) => Ok(()),
            Err(Refused::Other(reason)) => Err(about(reason)),
            Err(Refused::Web(error @ (WebError::NotFound | WebError::Authentication))) => {
                Err(about(error.reason()))
            }
            Err(Refused::Web(error)) => Err(error.about(&self.repository.to_string(), self.limits.call)),
        }
    }

    /// Asks where objects are to be had.
    async fn ask(
        &self,
        server: &Server,
        pointers: impl Iterator<Item = &Pointer>,
    ) -> Result<Answer, RepositoryError> {
        let asking = async {
            let question = serde_json::to_vec(&Question::about(pointers)).unwrap_or_default();
            let url = format!("{}/objects/batch", server.url.as_str().trim_end_matches('/'));
            let url = Url::parse(&url).map_err(|error| WebError::Failed(error.to_string()))?;
            let mut headers = server.headers.clone();
            for name in [ACCEPT, CONTENT_TYPE] {
                headers.insert(name, HeaderValue::from_static(MEDIA_TYPE));
            }
            let request = server.web.request(Method::POST, url, headers, false).body(question);
            text(server.web.send(request).await?, LONGEST_ANSWER).await
        };
        let answer = asking.await.map_err(|error| match error {
            WebError::NotFound => self.refused("there is no server of Git LFS at its place"),
            WebError::Authentication => server.web.access.refused(&self.repository),
            error => error.about(&self.repository.to_string(), self.limits.call),
        })?;
        serde_json::from_slice(&answer)
            .map_err(|_| self.refused("its server does not speak the batch interface"))
    }

    /// Has one object from where the server says.
    async fn fetch_object(&self, server: &Server, pointer: &Pointer, action: &Action) -> Result<(), Refused> {
        let url = action.url(&server.url).map_err(Refused::Other)?;
        let mut headers = action.headers().map_err(Refused::Other)?;
        let is_home = same_server(&url, &server.url);
        if is_home && !headers.contains_key(AUTHORIZATION) {
            headers.extend(server.headers.clone());
        }
        let elsewhere;
        let web = if is_home {
            &server.web
        } else {
            elsewhere = self.elsewhere(&server.web.access, &url)?;
            &elsewhere
        };
        let response = web.send(web.request(Method::GET, url, headers, false)).await?;
        self.objects.put(pointer, response).await
    }

    /// What another server is asked with that the repository's own leads to: as nobody.
    fn elsewhere(&self, access: &Access, url: &Url) -> Result<Web, WebError> {
        let access = self.credentials.elsewhere(access, url);
        let client = self.credentials.client(&self.repository, &access);
        let client = client.map_err(|error| WebError::Failed(error.to_string()))?;
        Ok(Web { client, authorization: None, access })
    }

    /// The server that holds the contents of the repository.
    async fn server(&self, config: Option<&[u8]>) -> Result<Server, RepositoryError> {
        match endpoint(&self.repository, config).map_err(|reason| self.refused(&reason))? {
            Endpoint::Http(key) => {
                let url = Url::parse(key.url()).map_err(|_| self.refused("the URL of its server is none"))?;
                // A place on the repository's own server is reached as the repository is.
                let is_home = Url::parse(self.repository.url()).is_ok_and(|own| same_server(&own, &url));
                let key = if is_home { &self.repository } else { &key };
                let access = self.credentials.access(key)?;
                let client = self.credentials.client(key, &access)?;
                let authorization = self.credentials.authorization(key, &access).await?;
                let headers = authorization.into_iter().map(|header| (AUTHORIZATION, header)).collect();
                Ok(Server { url, web: Web { client, authorization: None, access }, headers })
            }
            Endpoint::Ssh(key) => {
                let access = self.credentials.access(&key)?;
                let told = Box::pin(super::ssh::lfs_server(&key, &access, self.limits)).await?;
                let action: Action = serde_json::from_slice(&told).map_err(|_| {
                    self.refused("its host answers git-lfs-authenticate with what is not JSON")
                })?;
                let url =
                    Url::parse(&action.href).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
                let url = url.ok_or_else(|| self.refused("the URL that its host says over SSH is none"))?;
                let headers = action.headers().map_err(|reason| self.refused(&reason))?;
                let web = self.elsewhere(&access, &url);
                let web = web.map_err(|error| error.about(&self.repository.to_string(), self.limits.call))?;
                Ok(Server { url, web, headers })
            }
        }
    }

    fn refused(&self, reason: &str) -> RepositoryError {
        RepositoryError::Lfs { repository: self.repository.to_string(), reason: reason.to_owned() }
    }
}
