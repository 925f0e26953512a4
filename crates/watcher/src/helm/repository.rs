//! One chart of a Helm repository as the rest of the watcher sees it: observe versions, have their files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ithaca_chassis::Timer;
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::sync::Mutex;
use url::Url;

use super::catalog::{Catalog, Catalogs};
use super::choice::Choice;
use super::index::{Entry, read};
use super::place;
use crate::archive::{Archive, Layout, Packing, Shelf};
use crate::cache::{Handle, Kept};
use crate::metrics::Metrics;
use crate::oci::OciRepository;
use crate::repository::{ChartArchive, Observation, Proof, RepositoryError, RepositoryKey, Resolved, wanted};
use crate::web::{Way, Web, WebError, download, same_server, text};

/// A chart and its cache; cheap to clone.
#[derive(Clone)]
pub struct HelmRepository {
    inner: Arc<Inner>,
}

struct Inner {
    url: Url,
    way: Way,
    catalogs: Arc<Catalogs>,
    shelf: Shelf,
    metrics: Metrics,
    /// Calls run one at a time.
    last: Mutex<Last>,
}

/// What the last call leaves for the next.
#[derive(Default)]
struct Last {
    /// What was chosen from which index.
    chosen: Option<(String, Arc<Choice>)>,
    /// What was shown for versions, where that was asked for.
    proofs: HashMap<String, Arc<Proof>>,
}

/// What an index may not do.
const LEADS_INSIDE: &str = "its URL in the index leads to an internal host, which an index outside may name only where a \
    repository Secret has its URL: add one";

/// The largest provenance file.
const LARGEST_PROVENANCE: u64 = 1 << 20;

/// What a repository is reached and kept with.
pub struct Parts {
    /// How it is reached.
    pub way: Way,
    /// Its indexes.
    pub catalogs: Arc<Catalogs>,
    /// Where its archives are unpacked.
    pub shelf: Shelf,
    /// What is measured.
    pub metrics: Metrics,
}

impl HelmRepository {
    /// The chart of a repository that is at a URL. Touches neither disk nor network yet.
    pub fn new(url: Url, parts: Parts) -> Self {
        let Parts { way, catalogs, shelf, metrics } = parts;
        let last = Mutex::default();
        Self { inner: Arc::new(Inner { url, way, catalogs, shelf, metrics, last }) }
    }

    /// Asks for the index, chooses the versions, and fetches those that are not here; with proof, also their provenance
    /// files. An error concerns the repository as a whole.
    pub async fn observe(
        &self,
        revisions: BTreeSet<String>,
        with_proof: bool,
    ) -> Result<Observation, RepositoryError> {
        self.inner.way.within_limit(self.inner.observe(&revisions, with_proof)).await
    }

    /// Makes sure that the files of a version are here.
    pub async fn ensure(&self, version: String) -> Result<(), RepositoryError> {
        self.inner.shelf.ensure(version, async |revisions| self.observe(revisions, false).await).await
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

    async fn observe(
        &self,
        revisions: &BTreeSet<String>,
        with_proof: bool,
    ) -> Result<Observation, RepositoryError> {
        let since = Instant::now();
        let mut last = self.last.lock().await;
        let versions: BTreeSet<String> =
            revisions.iter().map(|revision| wanted::chart(revision).0.to_owned()).collect();
        let timer = Timer::start(&self.metrics.ls_remote);
        let web = self.way.web().await?;
        let catalog = self.catalogs.newest(&web, &self.url, since).await;
        let catalog = catalog.map_err(|error| self.way.failed(error, &web.access))?;
        let choice = match last.chosen.as_ref() {
            Some((digest, choice)) if digest == catalog.digest() && choice.covers(versions.iter()) => {
                choice.clone()
            }
            _ => Arc::new(self.choose(catalog.clone(), &versions).await?),
        };
        last.chosen = Some((catalog.digest().to_owned(), choice.clone()));
        self.metrics.listed(timer);
        let mut proofs = HashMap::new();
        let chosen: BTreeMap<&str, Option<&Entry>> =
            choice.found().map(|(version, entry)| (version.as_str(), entry)).collect();
        let mut observed = BTreeMap::new();
        for revision in revisions {
            let (version, passes_credentials) = wanted::chart(revision);
            let found = match chosen.get(version).copied().flatten() {
                Some(entry) => self.fetch(entry, passes_credentials).await.map(|kept| (entry, kept)),
                None => Err(self.unknown(version, &choice)),
            };
            let found = match found {
                Ok((entry, kept)) => {
                    let (revision, mut resolved) =
                        (entry.version.clone(), Resolved::commit(kept.commit.to_string()));
                    if with_proof {
                        let before = last.proofs.get(&revision);
                        let proof =
                            Arc::new(self.proof((&web, passes_credentials), entry, &kept, before).await);
                        proofs.insert(revision.clone(), proof.clone());
                        resolved.proof = Some(proof);
                    }
                    Ok(Resolved { revision, ..resolved })
                }
                Err(error) => Err(error),
            };
            observed.insert(revision.clone(), found);
        }
        // Only now: this look may have been given up on the way, and who asks for files alone takes nothing from who asks
        // for proof.
        if with_proof {
            last.proofs = proofs;
        }
        let in_use =
            observed.values().flatten().map(|resolved: &Resolved| resolved.revision.clone()).collect();
        self.shelf.tidy(in_use).await?;
        Ok(observed)
    }

    /// Reads the index on a thread that may block.
    async fn choose(
        &self,
        catalog: Catalog,
        revisions: &BTreeSet<String>,
    ) -> Result<Choice, RepositoryError> {
        let (mut choice, chart) = (Choice::new(revisions), self.key().chart().to_owned());
        let reading = tokio::task::spawn_blocking(move || {
            let found = read(catalog.text(), &chart, |entry| choice.offer(entry));
            found.map(|is_there| is_there.then_some(choice))
        });
        let repository = self.key().to_string();
        match reading.await {
            Ok(Ok(Some(choice))) => Ok(choice),
            Ok(Ok(None)) => Err(RepositoryError::UnknownChart { repository }),
            Ok(Err(error)) => Err(RepositoryError::Remote { repository, reason: error.to_string() }),
            Err(error) => Err(RepositoryError::of_cache(&repository, error)),
        }
    }

    /// Has the files of a version, from the cache where its archive is the one that the index means.
    async fn fetch(&self, entry: &Entry, passes_credentials: bool) -> Result<Kept, RepositoryError> {
        let version = entry.version.as_str();
        if let Some(address) = entry.urls.first().and_then(|url| place::in_registry(url, version)) {
            return self.fetch_from_registry(entry, address).await;
        }
        let digest = entry.digest.trim().trim_start_matches("sha256:").to_ascii_lowercase();
        // An index without digests cannot tell that an archive was replaced.
        if let Some(kept) =
            self.shelf.find(version).await?.filter(|kept| digest.is_empty() || kept.origin == digest)
        {
            return Ok(kept);
        }
        let timer = Timer::start(&self.metrics.fetch);
        let kept = self.fetch_archive(entry, &digest, passes_credentials).await;
        self.metrics.fetched(timer, kept.is_ok());
        kept
    }

    /// What lies beside the archive of a version. Where the server does not answer, what it showed last for the same
    /// archive holds.
    async fn proof(
        &self,
        (web, passes_credentials): (&Web, bool),
        entry: &Entry,
        kept: &Kept,
        before: Option<&Arc<Proof>>,
    ) -> Proof {
        let before =
            before.and_then(|proof| proof.chart.as_ref()).filter(|chart| chart.sha256 == kept.origin);
        let (provenance, unread) = match (self.provenance(web, passes_credentials, entry).await, before) {
            (Ok(provenance), _) => (provenance, None),
            (Err(_), Some(before)) => (before.provenance.clone(), before.unread.clone()),
            (Err(error), None) => (None, Some(error.reason())),
        };
        let chart = ChartArchive {
            name: self.key().chart().to_owned(),
            version: Some(entry.version.clone()),
            sha256: kept.origin.clone(),
            provenance,
            unread,
        };
        Proof { artifact: None, chart: Some(chart) }
    }

    /// The provenance file of a version, if there is one.
    async fn provenance(
        &self,
        web: &Web,
        passes_credentials: bool,
        entry: &Entry,
    ) -> Result<Option<Vec<u8>>, WebError> {
        let Ok(mut url) = self.place(entry) else { return Ok(None) };
        url.set_path(&format!("{}.prov", url.path()));
        let may_know = self.may_know(&url, passes_credentials);
        match web.send(web.request(Method::GET, url, HeaderMap::new(), may_know)).await {
            Ok(answer) => text(answer, LARGEST_PROVENANCE).await.map(Some),
            Err(WebError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where the archive of a version is.
    fn place(&self, entry: &Entry) -> Result<Url, String> {
        let written = entry.urls.first().ok_or("its index names no URL for it")?;
        let url = place::archive(&self.url, written).filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or("its URL in the index is neither http nor https")?;
        if self.way.may_lead_to(url.as_str()) { Ok(url) } else { Err(LEADS_INSIDE.to_owned()) }
    }

    /// Has a chart whose archive the index says to be in a registry, which is asked as whom its own Secrets say.
    async fn fetch_from_registry(
        &self,
        entry: &Entry,
        place::InRegistry { repository, chart, tag }: place::InRegistry<'_>,
    ) -> Result<Kept, RepositoryError> {
        if !self.way.may_lead_to(&format!("{repository}/{chart}")) {
            return Err(self.shelf.refused(&entry.version, LEADS_INSIDE.to_owned()));
        }
        let way = self.way.to(RepositoryKey::new(repository, chart, false)?);
        let registry = OciRepository::new(way, self.shelf.clone(), self.metrics.clone());
        let kept = registry.fetch_as(tag, &entry.version).await;
        kept.map_err(|error| self.shelf.refused(&entry.version, error.to_string()))
    }

    /// Credentials go to the repository's own server; to another one only where the source says so, and never out of an
    /// encrypted connection.
    fn may_know(&self, url: &Url, passes_credentials: bool) -> bool {
        let is_secure = url.scheme() == "https" || self.url.scheme() == "http";
        same_server(url, &self.url) || passes_credentials && is_secure
    }

    async fn fetch_archive(
        &self,
        entry: &Entry,
        digest: &str,
        passes_credentials: bool,
    ) -> Result<Kept, RepositoryError> {
        let refused = |reason: String| self.shelf.refused(&entry.version, reason);
        let url = self.place(entry).map_err(refused)?;
        let may_know = self.may_know(&url, passes_credentials);
        let web = self.way.web().await?;
        let request = web.request(Method::GET, url, HeaderMap::new(), may_know);
        let bytes =
            async { download(web.send(request).await?, self.shelf.folder(), self.shelf.most_bytes()).await };
        let bytes =
            bytes.await.map_err(|error| refused(format!("its archive cannot be had: {}", error.reason())))?;
        if !digest.is_empty() && bytes.sha256 != digest {
            let reason = format!("its archive has the digest {}, and its index says {digest}", bytes.sha256);
            return Err(refused(reason));
        }
        let origin = bytes.sha256.clone();
        let (packing, layout) = (Packing::Gzip, Layout::InFolder);
        self.shelf
            .add(&entry.version, Archive { bytes, packing, layout, must_hold: "Chart.yaml", origin })
            .await
    }

    fn unknown(&self, revision: &str, choice: &Choice) -> RepositoryError {
        RepositoryError::UnknownVersion {
            repository: self.key().to_string(),
            revision: revision.to_owned(),
            known: choice.known(),
        }
    }
}
