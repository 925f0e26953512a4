//! The repositories in use, for the parts that work on them: the observer's calls and the content service.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::git::{Limits, Repository, RepositoryUrl};
use crate::metrics::Metrics;

/// The repositories in use; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    repositories: Arc<Mutex<HashMap<RepositoryUrl, Repository>>>,
    cache_dir: PathBuf,
    limits: Limits,
    metrics: Metrics,
}

impl Registry {
    /// An empty registry whose repositories are cached below a folder.
    pub fn new(cache_dir: PathBuf, limits: Limits, metrics: Metrics) -> Self {
        Self { repositories: Arc::default(), cache_dir, limits, metrics }
    }

    /// A repository, which is in use from now on.
    pub fn open(&self, url: &RepositoryUrl) -> Repository {
        let new = || Repository::new(url.clone(), &self.cache_dir, self.limits, self.metrics.clone());
        self.lock().entry(url.clone()).or_insert_with(new).clone()
    }

    /// A repository if it is in use.
    pub fn get(&self, url: &RepositoryUrl) -> Option<Repository> {
        self.lock().get(url).cloned()
    }

    /// Takes a repository out of use. Returns the folder of its cache, which is out of the way of whoever uses the
    /// repository anew, and is left to be deleted.
    pub fn remove(&self, url: &RepositoryUrl) -> Option<PathBuf> {
        let mut repositories = self.lock();
        repositories.remove(url)?.set_cache_aside()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RepositoryUrl, Repository>> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
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
        let registry = Registry::new(folder.path().join("cache"), limits, Metrics::new());
        let url = RepositoryUrl::parse(&format!("file://{}", upstream.display()), true)?;
        let head = || BTreeSet::from(["HEAD".to_owned()]);
        registry.open(&url).observe(head()).await?;
        let aside = registry.remove(&url).expect("a cache");
        let anew = registry.open(&url);
        anew.observe(head()).await?;
        std::fs::remove_dir_all(aside)?;
        assert!(anew.observe(head()).await?["HEAD"].is_ok());
        assert_eq!(std::fs::read_dir(folder.path().join("cache"))?.count(), 1);
        Ok(())
    }
}
