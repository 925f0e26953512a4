//! What was unpacked so far: blobs in the cache, and the paths that they get in one tree.

use std::collections::{BTreeMap, BTreeSet};

use git2::{Index, IndexEntry, IndexTime, Oid};

use super::error::ArchiveError;

const FILE: u32 = 0o100644;
const EXECUTABLE: u32 = 0o100755;
const LINK: u32 = 0o120000;

/// The blob and mode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planted {
    id: Oid,
    mode: u32,
}

/// A tree that grows.
pub(super) struct Plant<'a> {
    cache: &'a git2::Repository,
    files: BTreeMap<String, Planted>,
    folders: BTreeSet<String>,
}

impl<'a> Plant<'a> {
    pub(super) fn new(cache: &'a git2::Repository) -> Self {
        Self { cache, files: BTreeMap::new(), folders: BTreeSet::new() }
    }

    /// Notes a folder, which leaves nothing in the tree unless something is in it.
    pub(super) fn folder(&mut self, path: &[String]) -> Result<(), ArchiveError> {
        for length in 1..=path.len() {
            let folder = path[..length].join("/");
            if self.files.contains_key(&folder) {
                return Err(ArchiveError::Twice { path: folder });
            }
            self.folders.insert(folder);
        }
        Ok(())
    }

    pub(super) fn file(
        &mut self,
        path: &[String],
        data: &[u8],
        is_executable: bool,
    ) -> Result<(), ArchiveError> {
        let mode = if is_executable { EXECUTABLE } else { FILE };
        let id = self.blob(data)?;
        self.again(path, Planted { id, mode })
    }

    pub(super) fn link(&mut self, path: &[String], target: &str) -> Result<(), ArchiveError> {
        let id = self.blob(target.as_bytes())?;
        self.again(path, Planted { id, mode: LINK })
    }

    /// The file at a path.
    pub(super) fn find(&self, path: &[String]) -> Option<Planted> {
        self.files.get(&path.join("/")).copied()
    }

    /// Puts what is in the cache at a path. The very same twice does no harm.
    pub(super) fn again(&mut self, path: &[String], planted: Planted) -> Result<(), ArchiveError> {
        self.folder(&path[..path.len() - 1])?;
        let path = path.join("/");
        let known = self.files.get(&path);
        if self.folders.contains(&path) || known.is_some_and(|known| *known != planted) {
            return Err(ArchiveError::Twice { path });
        }
        self.files.insert(path, planted);
        Ok(())
    }

    /// Writes the tree.
    pub(super) fn grow(self) -> Result<Oid, ArchiveError> {
        if self.files.is_empty() {
            return Err(ArchiveError::Empty);
        }
        let failed = |error: git2::Error| ArchiveError::of_cache(&error);
        let mut index = Index::new().map_err(failed)?;
        for (path, planted) in self.files {
            index.add(&entry(path, planted)).map_err(failed)?;
        }
        index.write_tree_to(self.cache).map_err(failed)
    }

    fn blob(&self, data: &[u8]) -> Result<Oid, ArchiveError> {
        self.cache.blob(data).map_err(|error| ArchiveError::of_cache(&error))
    }
}

fn entry(path: String, Planted { id, mode }: Planted) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.into_bytes(),
    }
}
