//! The revisions of one repository that come in archives: unpacked once, found from then on.
//! The asynchronous rim of this module; what blocks runs on threads that may.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ArchiveError, ArchiveLimits, Layout, Packing, unpack};
use crate::cache::{Cache, Caches, Handle, Kept, carry, count, keep, kept};
use crate::repository::{Observation, RepositoryError, RepositoryKey};
use crate::web::Downloaded;

/// With more revisions than this a cache is begun anew with those that are in use.
const MOST: usize = 64;

/// The cache of a repository, and what may come into it.
#[derive(Clone)]
pub struct Shelf {
    cache: Arc<Cache>,
    repository: Arc<str>,
    /// Where archives lie until they are unpacked.
    folder: Arc<Path>,
    limits: ArchiveLimits,
}

/// An archive that is here.
pub struct Archive {
    /// Its bytes.
    pub bytes: Downloaded,
    /// How they are packed.
    pub packing: Packing,
    /// Where the files begin.
    pub layout: Layout,
    /// A file without which it is of no use; empty where any will do.
    pub must_hold: &'static str,
    /// What tells it from another archive of the same revision.
    pub origin: String,
}

impl Shelf {
    /// The shelf of a repository, in its cache.
    pub fn new(caches: &Caches, repository: &RepositoryKey, limits: ArchiveLimits) -> Self {
        Self {
            cache: Arc::new(caches.of(repository)),
            repository: repository.to_string().into(),
            folder: caches.folder().into(),
            limits,
        }
    }

    /// Where archives lie until they are unpacked.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The most bytes that an archive may have.
    pub fn most_bytes(&self) -> u64 {
        self.limits.total
    }

    /// A view on all that is here. Blocks, as do all uses of it.
    pub fn handle(&self) -> Result<Handle<'_>, RepositoryError> {
        self.cache.handle()
    }

    /// Takes the cache out of the way, and returns the folder that is left to be deleted.
    pub fn set_aside(&self) -> Option<PathBuf> {
        self.cache.set_aside()
    }

    /// A revision, if it is here.
    pub async fn find(&self, revision: &str) -> Result<Option<Kept>, RepositoryError> {
        let revision = revision.to_owned();
        self.blocking(move |shelf| kept(&*shelf.handle()?, &revision).map_err(|error| shelf.failed(&error)))
            .await
    }

    /// Makes sure that a revision is here, by observing it where it is not.
    pub async fn ensure(
        &self,
        revision: String,
        observe: impl AsyncFnOnce(BTreeSet<String>) -> Result<Observation, RepositoryError>,
    ) -> Result<(), RepositoryError> {
        if self.find(&revision).await?.is_some() {
            return Ok(());
        }
        let mut observed = observe(BTreeSet::from([revision])).await?;
        observed.pop_first().map_or(Ok(()), |(_, found)| found.map(drop))
    }

    /// Unpacks an archive as a revision.
    pub async fn add(&self, revision: &str, archive: Archive) -> Result<Kept, RepositoryError> {
        let revision = revision.to_owned();
        self.blocking(move |shelf| shelf.unpack(&revision, &archive)).await
    }

    /// Takes a file by itself as a revision, which it is the origin of.
    pub async fn add_file(
        &self,
        revision: &str,
        name: &'static str,
        content: Vec<u8>,
    ) -> Result<Kept, RepositoryError> {
        let revision = revision.to_owned();
        self.blocking(move |shelf| {
            let cache = shelf.handle()?;
            let planted = || {
                let mut folder = cache.treebuilder(None)?;
                folder.insert(name, cache.blob(&content)?, 0o100_644)?;
                keep(&cache, &revision, folder.write()?, &revision)
            };
            planted().map_err(|error| shelf.failed(&error))
        })
        .await
    }

    /// Leaves out what is not in use once there is too much.
    pub async fn tidy(&self, in_use: BTreeSet<String>) -> Result<(), RepositoryError> {
        self.blocking(move |shelf| {
            let old = shelf.handle()?;
            if count(&old) <= MOST {
                return Ok(());
            }
            shelf.cache.renew(|new| {
                let mut revisions = in_use.iter();
                revisions
                    .try_for_each(|revision| carry(&old, new, revision))
                    .map_err(|error| shelf.failed(&error))
            })
        })
        .await
    }

    fn unpack(&self, revision: &str, archive: &Archive) -> Result<Kept, RepositoryError> {
        let cache = self.handle()?;
        let Archive { bytes, packing, layout, must_hold, origin } = archive;
        let refused = |error: ArchiveError| match error {
            ArchiveError::Cache { reason } => RepositoryError::of_cache(&self.repository, reason),
            error => self.refused(revision, error.to_string()),
        };
        let tree = unpack(bytes.reader(), *packing, *layout, &self.limits, &cache).map_err(refused)?;
        let found = cache.find_tree(tree).map_err(|error| self.failed(&error))?;
        if !must_hold.is_empty() && found.get_name(must_hold).is_none() {
            return Err(self.refused(revision, format!("the archive holds no {must_hold}")));
        }
        keep(&cache, revision, tree, origin).map_err(|error| self.failed(&error))
    }

    /// What is wrong with the content of a revision.
    pub fn refused(&self, revision: &str, reason: String) -> RepositoryError {
        let repository = self.repository.to_string();
        RepositoryError::Content { repository, revision: revision.to_owned(), reason }
    }

    fn failed(&self, error: &git2::Error) -> RepositoryError {
        RepositoryError::of_cache(&self.repository, error.message())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, RepositoryError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let shelf = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&shelf)).await;
        done.unwrap_or_else(|error| Err(RepositoryError::of_cache(&self.repository, error)))
    }
}
