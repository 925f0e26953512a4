//! The bare Git repository on disk that holds what was fetched of one remote, whatever protocol that speaks.
//!
//! What comes in: objects, written by whoever fetches. What goes out: the files of revisions. What it does not do:
//! reach a network. Everything here blocks.
//! It lives in a numbered folder. When too many fetches have left too many packs behind, a new folder is begun from what is
//! current; whoever still reads the old one is not disturbed.

mod changes;
mod history;
mod idle;
mod kept;
mod signed;
mod snapshot;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use git2::{ErrorCode, ObjectType, Oid, RepositoryInitOptions};
pub use history::Histories;
use idle::{Idle, Place};
pub use kept::{Kept, carry, count, keep, kept};
use sha2::{Digest, Sha256};
pub use snapshot::{CommitInfo, Snapshot, kind, small_text};

use crate::repository::{Protocol, RepositoryError, RepositoryKey};

/// How many packs a cache may have before it is begun anew.
const PACKS: usize = 64;

/// The caches of all repositories, below one folder; cheap to clone.
#[derive(Clone)]
pub struct Caches {
    folder: PathBuf,
    idle: Arc<Idle>,
}

/// The cache of one repository.
pub struct Cache {
    folder: PathBuf,
    repository: String,
    /// Of the current folder.
    number: Mutex<u64>,
    /// What it goes by among the idle.
    id: u64,
    idle: Arc<Idle>,
}

/// A handle that waits for its next user when it is dropped.
pub struct Handle<'a> {
    cache: &'a Cache,
    number: u64,
    repository: Option<git2::Repository>,
}

impl Caches {
    /// The caches below a folder. Touches nothing yet.
    pub fn below(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), idle: Arc::default() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The cache of a repository. Touches nothing yet.
    pub fn of(&self, key: &RepositoryKey) -> Cache {
        let is_file = key.protocol() == Protocol::ValueFile;
        let kind = if is_file { "value file " } else { "" };
        let name = format!("{kind}{}\n{}\n{}", key.url(), key.chart(), key.scope());
        let name = hex::encode(&Sha256::digest(name)[..16]);
        let folder = self.folder.join(name);
        let number = numbers(&folder).into_iter().max().unwrap_or(0);
        Cache {
            folder,
            repository: key.to_string(),
            number: Mutex::new(number),
            id: self.idle.new_cache(),
            idle: self.idle.clone(),
        }
    }
}

impl Cache {
    /// A handle on the current folder, which is made if need be: anybody may empty a folder of caches at any time.
    pub fn handle(&self) -> Result<Handle<'_>, RepositoryError> {
        // Of two who find nothing one makes it.
        let number = self.lock();
        let is_there = |repository: &git2::Repository| repository.path().join("HEAD").exists();
        let repository = match self.idle.take(self.place(*number)).filter(is_there) {
            Some(repository) => repository,
            None => open(&self.numbered(*number)).map_err(|error| self.failed(&error))?,
        };
        Ok(Handle { cache: self, number: *number, repository: Some(repository) })
    }

    /// True when the cache has grown so much that it is better begun anew.
    pub fn is_old(&self) -> bool {
        let number = *self.lock();
        let packs = self.numbered(number).join("objects/pack");
        let Ok(entries) = std::fs::read_dir(packs) else { return false };
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "pack")).count()
            > PACKS
    }

    /// Begins a new folder, has `fill` fetch into it, and makes it the current one if that works.
    pub fn renew<T>(
        &self,
        fill: impl FnOnce(&git2::Repository) -> Result<T, RepositoryError>,
    ) -> Result<T, RepositoryError> {
        let number = *self.lock() + 1;
        let folder = self.numbered(number);
        // What an earlier attempt left behind is of no use.
        let _ = std::fs::remove_dir_all(&folder);
        let filled = open(&folder).map_err(|error| self.failed(&error)).and_then(|new| fill(&new));
        let kept = if filled.is_ok() { number } else { number - 1 };
        let before = std::mem::replace(&mut *self.lock(), kept);
        self.idle.close(self.place(before));
        self.remove_all_but(kept);
        filled
    }

    /// A folder beside the numbered ones, which stays as they change. It need not be there.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Closes what is open: after a failure the next handle looks at the disk anew.
    pub fn close(&self) {
        let number = *self.lock();
        self.idle.close(self.place(number));
    }

    /// Takes everything out of the way at once: whoever opens the repository anew begins with nothing. Returns the
    /// folder that is left to be deleted.
    pub fn set_aside(&self) -> Option<PathBuf> {
        self.close();
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let aside = self.folder.with_extension(nanos.to_string());
        match std::fs::rename(&self.folder, &aside) {
            Ok(()) => Some(aside),
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!(%error, repository = self.repository, "failed to remove a cache");
                }
                None
            }
        }
    }

    fn place(&self, number: u64) -> Place {
        Place { cache: self.id, number }
    }

    fn numbered(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    fn remove_all_but(&self, kept: u64) {
        for number in numbers(&self.folder).into_iter().filter(|number| *number != kept) {
            let _ = std::fs::remove_dir_all(self.numbered(number));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &git2::Error) -> RepositoryError {
        RepositoryError::of_cache(&self.repository, error.message())
    }
}

impl Handle<'_> {
    /// The files of a revision that is here: of a commit, or of what is kept by its own name.
    pub fn snapshot(&self, revision: &str) -> Result<Snapshot<'_>, RepositoryError> {
        let kept = kept(self, revision).map_err(|error| self.cache.failed(&error))?;
        let commit = kept.map_or_else(|| Oid::from_str(revision), |kept| Ok(kept.commit));
        let opened = commit.and_then(|id| Snapshot::open(self, id));
        opened.map_err(|error| self.cache.failed(&error))
    }
}

impl std::ops::Deref for Handle<'_> {
    type Target = git2::Repository;

    fn deref(&self) -> &git2::Repository {
        self.repository.as_ref().expect("it is taken only by drop")
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        let number = self.cache.lock();
        if let Some(repository) = self.repository.take().filter(|_| *number == self.number) {
            self.cache.idle.keep(self.cache.place(*number), repository);
        }
    }
}

/// Opens a bare repository; one that is not there or is damaged is made anew: it is only a cache.
fn open(folder: &Path) -> Result<git2::Repository, git2::Error> {
    match git2::Repository::open_bare(folder) {
        Ok(repository) => return Ok(repository),
        Err(error) if error.code() == ErrorCode::NotFound => {}
        Err(error) => tracing::warn!(%error, folder = %folder.display(), "beginning a damaged cache anew"),
    }
    let _ = std::fs::remove_dir_all(folder);
    let mut options = RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false);
    git2::Repository::init_opts(folder, &options)
}

fn numbers(folder: &Path) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// True where the commit and its files are in the cache.
pub fn has_commit(cache: &git2::Repository, id: Oid) -> bool {
    cache.find_object(id, Some(ObjectType::Commit)).is_ok_and(|object| {
        object.as_commit().is_some_and(|commit| cache.find_tree(commit.tree_id()).is_ok())
    })
}

/// True where the object of an annotated tag is in the cache.
pub fn has_tag(cache: &git2::Repository, id: Oid) -> bool {
    cache.find_object(id, Some(ObjectType::Tag)).is_ok()
}
