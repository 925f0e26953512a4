//! The files of one commit, read from the cache. Everything here blocks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use git2::{ObjectType, Oid, Tree, TreeEntry};

use super::changes::changed;
use crate::reads::{Entry, Kind};

/// Files that are parsed to find what they refer to are small; larger ones are not parsed.
const LARGEST_TEXT: usize = 1 << 20;

/// No path that anybody could write to a disk is longer. Trees may be nested deeper than any stack.
pub(super) const LONGEST_PATH: usize = 4096;

/// What is told of a line that people wrote into a commit.
const LONGEST_LINE: usize = 1024;

/// Folders that are kept once read.
const MOST_FOLDERS: usize = 10_000;

/// The commit behind a revision, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitInfo {
    /// `Name <address>`.
    pub author: String,
    /// The first line of the message.
    pub subject: String,
    /// Seconds since the epoch.
    pub committed_at: i64,
}

/// The files of a commit. Folders are kept once read, so that many paths cost little.
pub struct Snapshot<'a> {
    cache: &'a git2::Repository,
    commit: git2::Commit<'a>,
    folders: RefCell<HashMap<String, Option<Rc<Tree<'a>>>>>,
}

impl<'a> Snapshot<'a> {
    pub(super) fn open(cache: &'a git2::Repository, commit: Oid) -> Result<Self, git2::Error> {
        let commit = cache.find_commit(commit)?;
        Ok(Self { cache, commit, folders: RefCell::default() })
    }

    /// Who made the commit, when, and how it is called.
    pub fn commit(&self) -> CommitInfo {
        let author = self.commit.author();
        let part =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_LINE)]).trim().to_owned();
        CommitInfo {
            author: format!("{} <{}>", part(author.name_bytes()), part(author.email_bytes())),
            subject: part(self.commit.message_bytes().split(|byte| *byte == b'\n').next().unwrap_or(b"")),
            committed_at: self.commit.time().seconds(),
        }
    }

    /// The files that differ from those of another commit; None where that is not here, or too many differ to look at
    /// each of them.
    pub fn changed_since(&self, commit: &str) -> Option<Vec<String>> {
        let before = self.cache.find_commit(Oid::from_str(commit).ok()?).ok()?.tree_id();
        changed(self.cache, before, self.commit.tree_id())
    }

    /// What is at a path; the empty path is the root. Links are not followed.
    pub fn entry(&self, path: &str) -> Option<Entry> {
        if path.is_empty() {
            return Some(Entry { id: self.commit.tree_id().to_string(), kind: Kind::Folder });
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.folder(parent)?;
        folder.get_name(name).map(|found| self.found(&found))
    }

    /// What a folder holds, in Git's order; empty where there is no folder.
    pub fn list(&self, path: &str) -> Vec<(String, Entry)> {
        self.folder(path).map(|folder| self.entries(&folder)).unwrap_or_default()
    }

    /// What the folder with an id holds, which need not be one of this commit; empty where there is none.
    pub fn list_folder(&self, id: &str) -> Vec<(String, Entry)> {
        let folder = Oid::from_str(id).and_then(|id| self.cache.find_tree(id));
        folder.map(|folder| self.entries(&folder)).unwrap_or_default()
    }

    fn entries(&self, folder: &Tree<'_>) -> Vec<(String, Entry)> {
        let named = |found: TreeEntry<'_>| Some((found.name().ok()?.to_owned(), self.found(&found)));
        folder.iter().filter_map(named).collect()
    }

    /// What a tree says of one of its entries. A submodule whose commit is here is the folder that the commit holds.
    fn found(&self, found: &TreeEntry<'_>) -> Entry {
        let kind = kind(found.filemode());
        let inside = || self.cache.find_commit(found.id()).ok();
        match (kind == Kind::Module).then(inside).flatten() {
            Some(commit) => Entry { id: commit.tree_id().to_string(), kind: Kind::Folder },
            None => Entry { id: found.id().to_string(), kind },
        }
    }

    /// The content of a file or link; None where there is none or it is large.
    pub fn text(&self, path: &str) -> Option<Vec<u8>> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        small_text(self.cache, self.folder(parent)?.get_name(name)?.id())
    }

    fn folder(&self, path: &str) -> Option<Rc<Tree<'a>>> {
        if let Some(known) = self.folders.borrow().get(path) {
            return known.clone();
        }
        if path.len() > LONGEST_PATH {
            return None;
        }
        let found = self.find_folder(path).map(Rc::new);
        let mut folders = self.folders.borrow_mut();
        if folders.len() < MOST_FOLDERS {
            folders.insert(path.to_owned(), found.clone());
        }
        found
    }

    fn find_folder(&self, path: &str) -> Option<Tree<'a>> {
        if path.is_empty() {
            return self.cache.find_tree(self.commit.tree_id()).ok();
        }
        let id = self.entry(path).filter(|entry| entry.kind == Kind::Folder)?.id;
        self.cache.find_tree(Oid::from_str(&id).ok()?).ok()
    }
}

/// The content of a file that is small enough to be parsed. A large one is never read, however well it is packed.
pub fn small_text(cache: &git2::Repository, id: Oid) -> Option<Vec<u8>> {
    let (size, kind) = cache.odb().and_then(|objects| objects.read_header(id)).ok()?;
    if size > LARGEST_TEXT || kind != ObjectType::Blob {
        return None;
    }
    cache.find_blob(id).ok().map(|blob| blob.content().to_vec())
}

/// The kind behind a file mode as Git stores it.
pub fn kind(mode: i32) -> Kind {
    match mode {
        0o040000 => Kind::Folder,
        0o120000 => Kind::Link,
        0o160000 => Kind::Module,
        0o100755 => Kind::Executable,
        _ => Kind::File,
    }
}
