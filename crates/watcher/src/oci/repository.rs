//! One repository of a registry as the rest of the watcher sees it: observe tags, ranges and digests, have their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ithaca_api::VersionConstraint;
use ithaca_chassis::Timer;
use tokio::sync::Mutex;

use super::address::{Address, is_digest, is_tag};
use super::client::Client;
use super::manifest::layer;
use super::proof::{Look, Memory};
use crate::archive::{Archive, Layout, Shelf};
use crate::cache::{Handle, Kept};
use crate::metrics::Metrics;
use crate::repository::{Observation, RepositoryError, RepositoryKey, Resolved, wanted};
use crate::web::{Way, WebError};

/// A repository of a registry and its cache; cheap to clone.
#[derive(Clone)]
pub struct OciRepository {
    inner: Arc<Inner>,
}

struct Inner {
    way: Way,
    shelf: Shelf,
    metrics: Metrics,
    /// Calls run one at a time.
    last: Mutex<Last>,
}

/// What the last call leaves for the next.
#[derive(Default)]
struct Last {
    /// What it asked with.
    client: Option<Arc<Client>>,
    /// What it read beside the revisions.
    memory: Memory,
}

/// A manifest, and what its revision is called.
struct Found {
    revision: String,
    digest: String,
}

impl OciRepository {
    /// The repository at the end of a way. Touches neither disk nor network yet.
    pub fn new(way: Way, shelf: Shelf, metrics: Metrics) -> Self {
        Self { inner: Arc::new(Inner { way, shelf, metrics, last: Mutex::default() }) }
    }

    /// Asks what the revisions are, and fetches those that are not here; with proof, also what lies beside them as
    /// signatures. An error concerns the repository as a whole.
    pub async fn observe(
        &self,
        revisions: BTreeSet<String>,
        with_proof: bool,
    ) -> Result<Observation, RepositoryError> {
        self.inner.way.within_limit(self.inner.observe(&revisions, with_proof)).await
    }

    /// Makes sure that the files of a version or digest are here.
    pub async fn ensure(&self, revision: String) -> Result<(), RepositoryError> {
        self.inner.shelf.ensure(revision, async |revisions| self.observe(revisions, false).await).await
    }

    /// Has the files of a tag as a revision, and leaves alone whatever else is here.
    pub async fn fetch_as(&self, tag: &str, revision: &str) -> Result<Kept, RepositoryError> {
        let inner = &self.inner;
        let mut last = inner.last.lock().await;
        let client = inner.client(&mut last.client).await?;
        let Found { digest, .. } = inner.locate(&client, tag, &mut None).await??;
        inner.have(&client, revision, &digest).await
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
    fn key(&self) -> &RepositoryKey {
        self.way.repository()
    }

    /// What it is asked with now: what convinced the registry before is kept while it is asked the same way.
    async fn client(&self, last: &mut Option<Arc<Client>>) -> Result<Arc<Client>, RepositoryError> {
        let web = self.way.web().await?;
        if let Some(client) = last.as_ref().filter(|client| client.asks_with(&web)) {
            return Ok(client.clone());
        }
        let address = Address::of(self.key(), web.access.settings.oci_over_http).ok_or_else(|| {
            RepositoryError::Unsupported {
                repository: self.key().to_string(),
                reason: "it is no address of a repository in a registry",
            }
        })?;
        Ok(last.insert(Arc::new(Client::new(web, address))).clone())
    }

    async fn observe(
        &self,
        revisions: &BTreeSet<String>,
        with_proof: bool,
    ) -> Result<Observation, RepositoryError> {
        let mut last = self.last.lock().await;
        let client = self.client(&mut last.client).await?;
        let timer = Timer::start(&self.metrics.ls_remote);
        let mut tags = None;
        let mut located = Vec::new();
        for revision in revisions {
            located.push((revision, self.locate(&client, wanted::chart(revision).0, &mut tags).await?));
        }
        self.metrics.listed(timer);
        let mut observed = BTreeMap::new();
        let mut look = Look::new(&client, &last.memory);
        for (revision, found) in located {
            let resolved = match found {
                Ok(found) => {
                    let digest = found.digest.clone();
                    let version =
                        Some(found.revision.as_str()).filter(|text| !is_digest(text)).map(str::to_owned);
                    match self.fetch(&client, found).await {
                        Ok(resolved) if with_proof => Ok(Resolved {
                            proof: Some(Arc::new(
                                look.proof(&digest, self.chart_name(), version.as_deref()).await,
                            )),
                            ..resolved
                        }),
                        other => other,
                    }
                }
                Err(error) => Err(error),
            };
            observed.insert(revision.clone(), resolved);
        }
        let seen = look.end();
        // Who asks for files alone takes nothing from who asks for proof.
        if with_proof {
            last.memory = seen;
        }
        let in_use =
            observed.values().flatten().map(|resolved: &Resolved| resolved.revision.clone()).collect();
        self.shelf.tidy(in_use).await?;
        Ok(observed)
    }

    /// The manifest that a revision names: a digest, a tag, or the highest version in a range. The tags are listed once
    /// for all revisions, and only where one needs them.
    async fn locate(
        &self,
        client: &Client,
        revision: &str,
        tags: &mut Option<Vec<String>>,
    ) -> Result<Result<Found, RepositoryError>, RepositoryError> {
        if is_digest(revision) {
            return Ok(Ok(Found { revision: revision.to_owned(), digest: revision.to_owned() }));
        }
        let tag = tag(revision);
        if is_tag(&tag) {
            match client.digest(&tag).await {
                Ok(digest) => return Ok(Ok(self.found(&tag, digest))),
                Err(WebError::NotFound) => {}
                Err(error) => return Err(self.failed(client, error)),
            }
        }
        let tags = match tags {
            Some(tags) => tags,
            None => tags.insert(client.tags().await.map_err(|error| self.failed(client, error))?),
        };
        let versions: Vec<String> = tags.iter().filter(|tag| is_tag(tag)).map(|tag| version(tag)).collect();
        let constraint = VersionConstraint::parse(revision).ok();
        let highest =
            constraint.and_then(|constraint| constraint.highest(versions.iter().map(String::as_str)));
        let Some(highest) = highest else {
            return Ok(Err(RepositoryError::UnknownVersion {
                repository: self.key().to_string(),
                revision: revision.to_owned(),
                known: versions.len(),
            }));
        };
        let tag = self::tag(highest);
        let digest = client.digest(&tag).await.map_err(|error| self.failed(client, error))?;
        Ok(Ok(self.found(&tag, digest)))
    }

    /// A chart is shown by its version, other content by its digest.
    fn found(&self, tag: &str, digest: String) -> Found {
        let revision = if self.is_chart() { version(tag) } else { digest.clone() };
        Found { revision, digest }
    }

    /// What a chart is called that is here: its repository's name ends so.
    fn chart_name(&self) -> &str {
        let (url, chart) = (self.key().url(), self.key().chart());
        if chart.is_empty() { url.rsplit('/').next().unwrap_or(url) } else { chart }
    }

    fn is_chart(&self) -> bool {
        !self.key().chart().is_empty()
    }

    /// Has the files of a manifest, from the cache where they are of this very one.
    async fn fetch(
        &self,
        client: &Client,
        Found { revision, digest }: Found,
    ) -> Result<Resolved, RepositoryError> {
        let kept = self.have(client, &revision, &digest).await?;
        Ok(Resolved { revision, ..Resolved::commit(kept.commit.to_string()) })
    }

    async fn have(&self, client: &Client, revision: &str, digest: &str) -> Result<Kept, RepositoryError> {
        if let Some(kept) = self.shelf.find(revision).await?.filter(|kept| kept.origin == digest) {
            return Ok(kept);
        }
        let timer = Timer::start(&self.metrics.fetch);
        let kept = self.fetch_layer(client, revision, digest).await;
        self.metrics.fetched(timer, kept.is_ok());
        kept
    }

    async fn fetch_layer(
        &self,
        client: &Client,
        revision: &str,
        digest: &str,
    ) -> Result<Kept, RepositoryError> {
        let refused = |reason: String| self.shelf.refused(revision, reason);
        let missing = |error: WebError| refused(format!("its content cannot be had: {}", error.reason()));
        let manifest = client.manifest(digest).await.map_err(missing)?;
        let layer = layer(&manifest, self.is_chart()).map_err(refused)?;
        let most = self.shelf.most_bytes();
        if layer.size > most {
            return Err(refused(format!("its layer has more than {} MiB", most >> 20)));
        }
        let bytes = client.blob(&layer.digest, layer.size, self.shelf.folder()).await.map_err(missing)?;
        let must_hold = if layer.layout == Layout::InFolder { "Chart.yaml" } else { "" };
        let (packing, layout, origin) = (layer.packing, layer.layout, digest.to_owned());
        self.shelf.add(revision, Archive { bytes, packing, layout, must_hold, origin }).await
    }

    fn failed(&self, client: &Client, error: WebError) -> RepositoryError {
        self.way.failed(error, client.access())
    }
}

/// A tag cannot hold the `+` that a version may.
fn tag(version: &str) -> String {
    version.replace('+', "_")
}

fn version(tag: &str) -> String {
    tag.replace('_', "+")
}
