//! The bare Git repository on disk that holds what was fetched of one remote, whatever protocol that speaks.
//!
//! What comes in: objects, written by whoever fetches. What goes out: the files of revisions. What it does not do:
//! reach a network. Everything here blocks. It lives in a numbered folder. When too many fetches have left too many packs behind, a new folder
//! is begun from what is current; whoever still reads the old one is not disturbed.

mod changes;
mod history;
mod kept;
mod signed;
mod snapshot;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use git2::{ErrorCode, ObjectType, Oid, RepositoryInitOptions};
pub use history::Histories;
pub use kept::{Kept, carry, count, keep, kept};
use sha2::{Digest, Sha256};
pub use snapshot::{CommitInfo, Snapshot, kind, small_text};

use crate::repository::{Protocol, RepositoryError, RepositoryKey};

/// How many packs a cache may have before it is begun anew.
const PACKS: usize = 64;
/// How many opened handles are kept for the next reader.
const HANDLES: usize = 4;

/// The cache of one repository.
pub struct Cache {
    folder: PathBuf,
    repository: String,
    current: Mutex<Current>,
}

struct Current {
    number: u64,
    handles: Vec<git2::Repository>,
}

/// A handle that goes back to its cache when it is dropped.
pub struct Handle<'a> {
    cache: &'a Cache,
    number: u64,
    repository: Option<git2::Repository>,
}

impl Cache {
    /// The cache of a repository, below the folder of all caches. Touches nothing yet.
    pub fn new(folder: &Path, key: &RepositoryKey) -> Self {
        let is_file = key.protocol() == Protocol::ValueFile;
        let kind = if is_file { "value file " } else { "" };
        let name = format!("{kind}{}\n{}\n{}", key.url(), key.chart(), key.scope());
        let name = hex::encode(&Sha256::digest(name)[..16]);
        let folder = folder.join(name);
        let number = numbers(&folder).into_iter().max().unwrap_or(0);
        Self {
            folder,
            repository: key.to_string(),
            current: Mutex::new(Current { number, handles: Vec::new() }),
        }
    }

    /// A handle on the current folder, which is made if need be: anybody may empty a folder of caches at any time.
    pub fn handle(&self) -> Result<Handle<'_>, RepositoryError> {
        let mut current = self.lock();
        let number = current.number;
        let is_there = |repository: &git2::Repository| repository.path().join("HEAD").exists();
        let repository = match current.handles.pop().filter(is_there) {
            Some(repository) => repository,
            None => open(&self.folder.join(number.to_string())).map_err(|error| self.failed(&error))?,
        };
        Ok(Handle { cache: self, number, repository: Some(repository) })
    }

    /// True when the cache has grown so much that it is better begun anew.
    pub fn is_old(&self) -> bool {
        let packs = self.folder.join(self.lock().number.to_string()).join("objects/pack");
        let Ok(entries) = std::fs::read_dir(packs) else { return false };
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "pack")).count()
            > PACKS
    }

    /// Begins a new folder, has `fill` fetch into it, and makes it the current one if that works.
    pub fn renew<T>(
        &self,
        fill: impl FnOnce(&git2::Repository) -> Result<T, RepositoryError>,
    ) -> Result<T, RepositoryError> {
        let number = self.lock().number + 1;
        let folder = self.folder.join(number.to_string());
        // What an earlier attempt left behind is of no use.
        let _ = std::fs::remove_dir_all(&folder);
        let filled = open(&folder).map_err(|error| self.failed(&error)).and_then(|new| fill(&new));
        let kept = if filled.is_ok() { number } else { number - 1 };
        *self.lock() = Current { number: kept, handles: Vec::new() };
        self.remove_all_but(kept);
        filled
    }

    /// A folder beside the numbered ones, which stays as they change. It need not be there.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Closes what is open: after a failure the next handle looks at the disk anew.
    pub fn close(&self) {
        self.lock().handles.clear();
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

    fn remove_all_but(&self, kept: u64) {
        for number in numbers(&self.folder).into_iter().filter(|number| *number != kept) {
            let _ = std::fs::remove_dir_all(self.folder.join(number.to_string()));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut current = self.cache.lock();
        if current.number == self.number && current.handles.len() < HANDLES {
            current.handles.extend(self.repository.take());
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
