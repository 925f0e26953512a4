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

    /// Takes a repository out of use.
    pub fn remove(&self, url: &RepositoryUrl) -> Option<Repository> {
        self.lock().remove(url)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RepositoryUrl, Repository>> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
