//! The repositories in use, for the parts that work on them: the observer's calls and the content service.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use url::Url;

use crate::archive::{ArchiveLimits, Shelf};
use crate::cache::{Caches, Handle};
use crate::credentials::Credentials;
use crate::git::{GitRepository, Limits, Objects, Pointer};
use crate::helm::{Catalogs, HelmRepository, Parts};
use crate::metrics::Metrics;
use crate::oci::OciRepository;
use crate::repository::{Observation, Protocol, RepositoryError, RepositoryKey};
use crate::value_file::ValueFile;
use crate::web::Way;

/// A repository of any protocol; cheap to clone.
#[derive(Clone)]
pub enum Repository {
    /// Git.
    Git(GitRepository),
    /// A chart in a Helm repository.
    Helm(HelmRepository),
    /// A repository in an OCI registry.
    Oci(OciRepository),
    /// The file at a URL.
    ValueFile(ValueFile),
}

impl Repository {
    /// Asks the remote once what the revisions are, and fetches what is not here yet; with proof, also what else it
    /// shows for them. An error concerns the repository as a whole.
    pub async fn observe(
        &self,
        revisions: BTreeSet<String>,
        with_proof: bool,
    ) -> Result<Observation, RepositoryError> {
        match self {
            Self::Git(repository) => repository.observe(revisions, with_proof).await,
            Self::Helm(repository) => repository.observe(revisions, with_proof).await,
            Self::Oci(repository) => repository.observe(revisions, with_proof).await,
            Self::ValueFile(repository) => repository.observe(revisions).await,
        }
    }

    /// Makes sure that the files of a revision that was observed are here. One that is waits for no call to the remote.
    pub async fn ensure(&self, revision: String) -> Result<(), RepositoryError> {
        match self {
            Self::Git(repository) => repository.ensure(revision).await,
            Self::Helm(repository) => repository.ensure(revision).await,
            Self::Oci(repository) => repository.ensure(revision).await,
            Self::ValueFile(repository) => repository.ensure(revision).await,
        }
    }

    /// Has what pointers of Git LFS point at; only Git has any.
    pub async fn objects(
        &self,
        revision: &str,
        files: &BTreeMap<String, Pointer>,
    ) -> Result<Option<&Objects>, RepositoryError> {
        match self {
            Self::Git(repository) => repository.objects(revision, files).await.map(Some),
            Self::Helm(_) | Self::Oci(_) | Self::ValueFile(_) => Ok(None),
        }
    }

    /// A view on all that is here. Blocks, as do all uses of it.
    pub fn handle(&self) -> Result<Handle<'_>, RepositoryError> {
        match self {
            Self::Git(repository) => repository.handle(),
            Self::Helm(repository) => repository.handle(),
            Self::Oci(repository) => repository.handle(),
            Self::ValueFile(repository) => repository.handle(),
        }
    }

    /// Takes the cache out of the way, and returns the folder that is left to be deleted. What still runs fails.
    fn set_cache_aside(&self) -> Option<PathBuf> {
        match self {
            Self::Git(repository) => repository.set_cache_aside(),
            Self::Helm(repository) => repository.set_cache_aside(),
            Self::Oci(repository) => repository.set_cache_aside(),
            Self::ValueFile(repository) => repository.set_cache_aside(),
        }
    }
}

/// Indexes by URL and scope, for as long as a chart uses them.
type CatalogsByPlace = HashMap<(String, String), Weak<Catalogs>>;

/// The repositories in use; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    repositories: Arc<Mutex<HashMap<RepositoryKey, Repository>>>,
    /// The indexes of Helm repositories, each shared by all charts of one.
    catalogs: Arc<Mutex<CatalogsByPlace>>,
    caches: Caches,
    limits: Limits,
    archives: ArchiveLimits,
    credentials: Credentials,
    metrics: Metrics,
}

impl Registry {
    /// An empty registry whose repositories have these caches.
    pub fn new(
        caches: Caches,
        limits: Limits,
        archives: ArchiveLimits,
        credentials: Credentials,
        metrics: Metrics,
    ) -> Self {
        let (repositories, catalogs) = (Arc::default(), Arc::default());
        Self { repositories, catalogs, caches, limits, archives, credentials, metrics }
    }

    /// A repository, which is in use from now on.
    pub fn open(&self, key: &RepositoryKey) -> Repository {
        self.lock().entry(key.clone()).or_insert_with(|| self.new_repository(key)).clone()
    }

    fn new_repository(&self, key: &RepositoryKey) -> Repository {
        let metrics = self.metrics.clone();
        let way = || Way::new(key.clone(), self.credentials.clone(), self.limits.call);
        let shelf = || Shelf::new(&self.caches, key, self.archives);
        match (key.protocol(), Url::parse(key.url())) {
            (Protocol::Helm, Ok(url)) => {
                let parts = Parts { way: way(), catalogs: self.catalogs(key), shelf: shelf(), metrics };
                Repository::Helm(HelmRepository::new(url, parts))
            }
            (Protocol::Oci, _) => Repository::Oci(OciRepository::new(way(), shelf(), metrics)),
            (Protocol::ValueFile, _) => {
                let credentials = self.credentials.clone();
                Repository::ValueFile(ValueFile::new(way(), credentials, shelf(), metrics))
            }
            _ => Repository::Git(self.git(key)),
        }
    }

    fn git(&self, key: &RepositoryKey) -> GitRepository {
        let (credentials, metrics) = (self.credentials.clone(), self.metrics.clone());
        GitRepository::new(key.clone(), &self.caches, self.limits, credentials, metrics)
    }

    /// The indexes of a Helm repository as a project sees it, which go with the last of its charts.
    fn catalogs(&self, key: &RepositoryKey) -> Arc<Catalogs> {
        let place = (key.url().to_owned(), key.scope().to_owned());
        let mut all = self.catalogs.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, catalogs| catalogs.strong_count() > 0);
        if let Some(known) = all.get(&place).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(Catalogs::new(self.caches.folder().to_owned()));
        all.insert(place, Arc::downgrade(&new));
        new
    }

    /// A repository if it is in use.
    pub fn get(&self, key: &RepositoryKey) -> Option<Repository> {
        self.lock().get(key).cloned()
    }

    /// Takes a repository out of use. Returns the folder of its cache, which is out of the way of whoever uses the
    /// repository anew, and is left to be deleted.
    pub fn remove(&self, key: &RepositoryKey) -> Option<PathBuf> {
        let mut repositories = self.lock();
        repositories.remove(key)?.set_cache_aside()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RepositoryKey, Repository>> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Was seen where the only Application of a repository was deleted and another created: the cache of the one was
    /// removed under the other, which could not read the repository any more.
    #[tokio::test]
    async fn a_repository_that_is_used_anew_has_a_cache_of_its_own() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let upstream = folder.path().join("upstream");
        let repository = git2::Repository::init_bare(&upstream)?;
        let author = git2::Signature::now("Ada", "ada@example.com")?;
        let tree = repository.find_tree(repository.treebuilder(None)?.write()?)?;
        repository.commit(Some("HEAD"), &author, &author, "Begin", &tree, &[])?;
        let limits = Limits { silence: Duration::from_secs(5), call: Duration::from_secs(10) };
        let credentials = Credentials::new(tokio::sync::watch::channel(None).1, limits.silence);
        let (cache, archives) = (folder.path().join("cache"), ArchiveLimits::of_mib(1));
        let registry = Registry::new(Caches::below(cache), limits, archives, credentials, Metrics::new());
        let key = RepositoryKey::new(&format!("file://{}", upstream.display()), "", true)?;
        let head = || BTreeSet::from(["HEAD".to_owned()]);
        registry.open(&key).observe(head(), false).await?;
        let aside = registry.remove(&key).expect("a cache");
        let anew = registry.open(&key);
        anew.observe(head(), false).await?;
        std::fs::remove_dir_all(aside)?;
        assert!(anew.observe(head(), false).await?["HEAD"].is_ok());
        assert_eq!(std::fs::read_dir(folder.path().join("cache"))?.count(), 1);
        Ok(())
    }
}
