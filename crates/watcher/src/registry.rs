//! The repositories in use, for the parts that work on them: the observer's calls and the content service.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::Handle;
use crate::credentials::Credentials;
use crate::git::{GitRepository, Limits};
use crate::metrics::Metrics;
use crate::repository::{Observation, RepositoryError, RepositoryKey};

/// A repository of any protocol; cheap to clone.
#[derive(Clone)]
pub enum Repository {
    /// Git.
    Git(GitRepository),
}

impl Repository {
    /// Asks the remote once what the revisions are, and fetches what is not here yet.
    /// An error concerns the repository as a whole.
    pub async fn observe(&self, revisions: BTreeSet<String>) -> Result<Observation, RepositoryError> {
        match self {
            Self::Git(repository) => repository.observe(revisions).await,
        }
    }

    /// Makes sure that the files of a revision that was observed are here. One that is waits for no call to the remote.
    pub async fn ensure(&self, revision: String) -> Result<(), RepositoryError> {
        match self {
            Self::Git(repository) => repository.ensure(revision).await,
        }
    }

    /// A view on all that is here. Blocks, as do all uses of it.
    pub fn handle(&self) -> Result<Handle<'_>, RepositoryError> {
        match self {
            Self::Git(repository) => repository.handle(),
        }
    }

    /// Takes the cache out of the way, and returns the folder that is left to be deleted. What still runs fails.
    fn set_cache_aside(&self) -> Option<PathBuf> {
        match self {
            Self::Git(repository) => repository.set_cache_aside(),
        }
    }
}

/// The repositories in use; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    repositories: Arc<Mutex<HashMap<RepositoryKey, Repository>>>,
    cache_dir: PathBuf,
    limits: Limits,
    credentials: Credentials,
    metrics: Metrics,
}

impl Registry {
    /// An empty registry whose repositories are cached below a folder.
    pub fn new(cache_dir: PathBuf, limits: Limits, credentials: Credentials, metrics: Metrics) -> Self {
        Self { repositories: Arc::default(), cache_dir, limits, credentials, metrics }
    }

    /// A repository, which is in use from now on.
    pub fn open(&self, key: &RepositoryKey) -> Repository {
        let new = || {
            let (credentials, metrics) = (self.credentials.clone(), self.metrics.clone());
            Repository::Git(GitRepository::new(
                key.clone(),
                &self.cache_dir,
                self.limits,
                credentials,
                metrics,
            ))
        };
        self.lock().entry(key.clone()).or_insert_with(new).clone()
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
        let registry = Registry::new(folder.path().join("cache"), limits, credentials, Metrics::new());
        let key = RepositoryKey::new(&format!("file://{}", upstream.display()), "", true)?;
        let head = || BTreeSet::from(["HEAD".to_owned()]);
        registry.open(&key).observe(head()).await?;
        let aside = registry.remove(&key).expect("a cache");
        let anew = registry.open(&key);
        anew.observe(head()).await?;
        std::fs::remove_dir_all(aside)?;
        assert!(anew.observe(head()).await?["HEAD"].is_ok());
        assert_eq!(std::fs::read_dir(folder.path().join("cache"))?.count(), 1);
        Ok(())
    }
}
