//! The file at a URL, a value file of a chart or a resource of an overlay, as a repository of one revision: its content.
//!
//! What comes in: a URL, which anybody who writes Applications or overlays chooses. What goes out: the file, kept by its
//! content in a cache. It is asked for as nobody, since whoever names it could else read what the installation may read, and from no
//! address inside unless a Secret of a repository names that server.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ithaca_api::source::REMOTE_VALUE_FILE;
use ithaca_chassis::Timer;
use reqwest::Method;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};
use url::Url;

use crate::archive::Shelf;
use crate::cache::{Handle, Kept};
use crate::credentials::{Access, Credentials};
use crate::metrics::Metrics;
use crate::repository::{Observation, RepositoryError, RepositoryKey, Resolved};
use crate::web::{Way, Web, WebError, text};

/// What a file is asked for by: it has no older revisions.
pub const NEWEST: &str = "HEAD";

/// The longest file, in bytes: overlays name all resources of a release so.
const LONGEST: u64 = 16 << 20;

/// A file and its cache; cheap to clone.
#[derive(Clone)]
pub struct ValueFile {
    inner: Arc<Inner>,
}

struct Inner {
    way: Way,
    credentials: Credentials,
    shelf: Shelf,
    metrics: Metrics,
}

impl ValueFile {
    /// The file at the URL of a key. Touches neither disk nor network yet.
    pub fn new(way: Way, credentials: Credentials, shelf: Shelf, metrics: Metrics) -> Self {
        Self { inner: Arc::new(Inner { way, credentials, shelf, metrics }) }
    }

    /// Fetches the file, and keeps it if it is new.
    pub async fn observe(&self, revisions: BTreeSet<String>) -> Result<Observation, RepositoryError> {
        let Inner { way, metrics, .. } = self.inner.as_ref();
        let timer = Timer::start(&metrics.ls_remote);
        let kept = way.within_limit(self.inner.fetch()).await?;
        metrics.listed(timer);
        let revision = kept.origin;
        let resolved = Resolved { revision, ..Resolved::commit(kept.commit.to_string()) };
        Ok(revisions.into_iter().map(|asked| (asked, Ok(resolved.clone()))).collect())
    }

    /// Makes sure that a content is here. What the server has no more is not to be had.
    pub async fn ensure(&self, revision: String) -> Result<(), RepositoryError> {
        let Inner { way, shelf, .. } = self.inner.as_ref();
        if shelf.find(&revision).await?.is_some() {
            return Ok(());
        }
        let kept = way.within_limit(self.inner.fetch()).await?;
        if kept.origin == revision {
            Ok(())
        } else {
            Err(self.inner.failed("it has changed since".to_owned()))
        }
    }

    /// A view on all that is here. Blocks, as do all uses of it.
    pub fn handle(&self) -> Result<Handle<'_>, RepositoryError> {
        self.inner.shelf.handle()
    }

    /// Takes the cache out of the way, and returns the folder that is left to be deleted.
    pub fn set_cache_aside(&self) -> Option<PathBuf> {
        self.inner.shelf.set_aside()
    }
}

impl Inner {
    async fn fetch(&self) -> Result<Kept, RepositoryError> {
        let content = self.download().await?;
        let digest = hex::encode(Sha256::digest(&content));
        if let Some(kept) = self.shelf.find(&digest).await? {
            return Ok(kept);
        }
        let kept = self.shelf.add_file(&digest, REMOTE_VALUE_FILE, content).await?;
        self.shelf.tidy(BTreeSet::from([digest])).await?;
        Ok(kept)
    }

    async fn download(&self) -> Result<Vec<u8>, RepositoryError> {
        let key = self.key();
        let url = Url::parse(key.url()).map_err(|_| self.failed("it is no URL".to_owned()))?;
        let client = self.credentials.guarded_client(key, &url)?;
        let answer = async {
            // What somebody wrote into the URL itself is for its server.
            let request = client.request(Method::GET, url).headers(HeaderMap::new());
            let web = Web { client: client.clone(), authorization: None, access: Access::default() };
            text(web.send(request).await?, LONGEST).await
        };
        answer.await.map_err(|error: WebError| self.failed(error.reason()))
    }

    fn key(&self) -> &RepositoryKey {
        self.way.repository()
    }

    fn failed(&self, reason: String) -> RepositoryError {
        RepositoryError::ValueFile { url: self.key().to_string(), reason }
    }
}

#[cfg(test)]
mod tests;
