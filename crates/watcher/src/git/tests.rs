//! Real repositories on disk, read through the same code as remote ones.

mod history;
mod http;
mod lfs;
mod modules;
mod moved;
mod private;
mod ssh;
mod turns;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{Oid, Signature};
use tokio::sync::watch;

use super::*;
use crate::cache::Caches;
use crate::credentials::Credentials;
use crate::metrics::Metrics;
use crate::reads::Kind;
use crate::repository::{RepositoryKey, Resolved, Tag};

/// An upstream repository and a watcher's view of it.
struct World {
    folder: tempfile::TempDir,
    upstream: git2::Repository,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).initial_head("main");
        let upstream =
            git2::Repository::init_opts(folder.path().join("upstream"), &options).expect("upstream");
        Self { folder, upstream }
    }

    /// Commits files to a branch and gives the commit's id.
    fn commit(&self, branch: &str, files: &[(&str, &str)]) -> String {
        let mut index = git2::Index::new().expect("an index");
        for (path, text) in files {
            let (id, mode) = match text.strip_prefix("gitlink:") {
                Some(commit) => (Oid::from_str(commit).expect("an id"), 0o160000),
                None => {
                    let mode = if text.starts_with("../") { 0o120000 } else { 0o100644 };
                    (self.upstream.blob(text.as_bytes()).expect("a blob"), mode)
                }
            };
            let zero = git2::IndexTime::new(0, 0);
            let entry = git2::IndexEntry {
                ctime: zero,
                mtime: zero,
                dev: 0,
                ino: 0,
                mode,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: path.as_bytes().to_vec(),
            };
            index.add(&entry).expect("an entry");
        }
        let tree = index.write_tree_to(&self.upstream).expect("a tree");
        let tree = self.upstream.find_tree(tree).expect("the tree");
        let name = format!("refs/heads/{branch}");
        let parent = self.upstream.find_reference(&name).ok().and_then(|found| found.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        let author = Signature::new("Ada", "ada@example.org", &git2::Time::new(1_000, 0)).expect("an author");
        let id = self.upstream.commit(Some(&name), &author, &author, "Add\n\nmore", &tree, &parents);
        id.expect("a commit").to_string()
    }

    fn tag(&self, name: &str, commit: &str) {
        let target =
            self.upstream.find_object(Oid::from_str(commit).expect("an id"), None).expect("a commit");
        let tagger = Signature::new("Ada", "ada@example.org", &git2::Time::new(1_000, 0)).expect("a tagger");
        self.upstream.tag(name, &target, &tagger, "tag", true).expect("a tag");
    }

    /// The object of a tag.
    fn tag_object(&self, name: &str) -> Option<Tag> {
        let id = self.upstream.refname_to_id(&format!("refs/tags/{name}")).expect("a tag").to_string();
        Some(Tag { name: name.to_owned(), id })
    }

    fn url(&self) -> String {
        format!("file://{}", self.folder.path().join("upstream").display())
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn open(&self) -> GitRepository {
        open(&self.url(), &self.cache())
    }
}

/// What a machine under load may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

fn open(url: &str, cache: &Path) -> GitRepository {
    open_as(Credentials::new(watch::channel(None).1, PATIENCE), url, cache)
}

fn open_as(credentials: Credentials, url: &str, cache: &Path) -> GitRepository {
    open_within(PATIENCE, credentials, url, cache)
}

/// Of a remote that is not to be waited for.
fn open_impatiently(url: &str, cache: &Path) -> GitRepository {
    let second = Duration::from_secs(1);
    open_within(second, Credentials::new(watch::channel(None).1, second), url, cache)
}

fn open_within(silence: Duration, credentials: Credentials, url: &str, cache: &Path) -> GitRepository {
    let limits = Limits { silence, call: silence * 2 };
    let key = RepositoryKey::new(url, "", true).expect("a URL");
    GitRepository::new(key, &Caches::below(cache), limits, credentials, Metrics::new())
}

async fn observe(repository: &GitRepository, revision: &str) -> Result<String, String> {
    resolve(repository, revision).await.map(|resolved| resolved.revision)
}

async fn resolve(repository: &GitRepository, revision: &str) -> Result<Resolved, String> {
    let observed = repository.observe(BTreeSet::from([revision.to_owned()]), false).await;
    let mut observed = observed.map_err(|error| error.to_string())?;
    observed.remove(revision).expect("an answer").map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_way_to_name_a_commit_finds_it() {
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    let second = world.commit("main", &[("a.yaml", "2")]);
    let other = world.commit("feature/x", &[("b.yaml", "1")]);
    world.tag("v1", &first);
    let repository = world.open();
    for (revision, commit) in [
        ("HEAD", &second),
        ("main", &second),
        ("feature/x", &other),
        ("refs/heads/feature/x", &other),
        ("v1", &first),
        (second.as_str(), &second),
        (first.as_str(), &first),
        (&first[..8], &first),
    ] {
        assert_eq!(observe(&repository, revision).await.as_ref(), Ok(commit), "{revision}");
    }
}

#[tokio::test]
async fn a_commit_is_found_by_the_next_look() {
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    let repository = world.open();
    assert_eq!(observe(&repository, "HEAD").await, Ok(first));
    let second = world.commit("main", &[("a.yaml", "2")]);
    assert_eq!(observe(&repository, "HEAD").await, Ok(second));
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_users_words() {
    let world = World::new();
    world.commit("main", &[("a.yaml", "1")]);
    let repository = world.open();
    for revision in ["nothing", "0123456789012345678901234567890123456789", "0123456", "refs/heads/x"] {
        let error = observe(&repository, revision).await.expect_err(revision);
        assert!(error.contains("no such branch, tag or commit"), "{error}");
        assert!(error.contains(revision), "{error}");
    }
    let nowhere = open(&format!("{}-elsewhere", world.url()), &world.cache());
    let error = observe(&nowhere, "HEAD").await.expect_err("no repository");
    assert!(error.contains("does not exist"), "{error}");
    assert!(observe(&World::new().open(), "HEAD").await.is_err());
}

#[tokio::test]
async fn the_files_of_a_commit_are_as_they_were() {
    let world = World::new();
    let commit =
        world.commit("main", &[("apps/a.yaml", "one"), ("apps/deep/b.yaml", "two"), ("apps/link", "../x")]);
    let repository = world.open();
    observe(&repository, "HEAD").await.expect("a commit");
    let handle = repository.handle().expect("a handle");
    let snapshot = handle.snapshot(&commit).expect("a snapshot");
    let info = snapshot.commit();
    assert_eq!((info.author.as_str(), info.subject.as_str()), ("Ada <ada@example.org>", "Add"));
    assert_eq!(info.committed_at, 1_000);
    let kind = |path: &str| snapshot.entry(path).map(|entry| entry.kind);
    assert_eq!(kind(""), Some(Kind::Folder));
    assert_eq!(kind("apps/deep"), Some(Kind::Folder));
    assert_eq!(kind("apps/a.yaml"), Some(Kind::File));
    assert_eq!(kind("apps/link"), Some(Kind::Link));
    assert_eq!(kind("apps/none"), None);
    assert_eq!(kind("apps/a.yaml/none"), None);
    assert_eq!(snapshot.text("apps/deep/b.yaml"), Some(b"two".to_vec()));
    let names: Vec<String> = snapshot.list("apps").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a.yaml", "deep", "link"]);
}

#[tokio::test]
async fn an_annotated_tag_comes_with_its_object_even_when_its_commit_is_here() {
    let world = World::new();
    let commit = world.commit("main", &[("a.yaml", "1")]);
    let repository = world.open();
    observe(&repository, "HEAD").await.expect("a commit");
    world.tag("v1", &commit);
    for revision in ["v1", "refs/tags/v1"] {
        let resolved = resolve(&repository, revision).await.expect("a tag");
        assert_eq!((resolved.revision, resolved.tag), (commit.clone(), world.tag_object("v1")));
    }
    let handle = repository.handle().expect("a handle");
    let tag = world.tag_object("v1").expect("a tag");
    assert!(handle.signed_tag(&tag, &commit).expect("a tag").is_some_and(|tag| tag.signature.is_none()));
    // A tag that was given another name is not what it says it is.
    let renamed = Tag { name: "v2".to_owned(), ..tag };
    assert_eq!(handle.signed_tag(&renamed, &commit), Ok(None));

    // The commit itself, the beginning of its id and a lightweight tag have no object but the commit.
    let target = world.upstream.find_object(Oid::from_str(&commit).expect("an id"), None).expect("a commit");
    world.upstream.tag_lightweight("light", &target, false).expect("a tag");
    for revision in ["light", "HEAD", &commit, &commit[..10]] {
        assert_eq!(resolve(&repository, revision).await, Ok(Resolved::commit(commit.clone())), "{revision}");
    }
}

#[tokio::test]
async fn a_tag_that_is_made_anew_for_the_same_commit_is_seen() {
    let world = World::new();
    let commit = world.commit("main", &[("a.yaml", "1")]);
    world.tag("v1", &commit);
    let repository = world.open();
    let before = resolve(&repository, "v1").await.expect("a tag");
    let target = world.upstream.find_object(Oid::from_str(&commit).expect("an id"), None).expect("a commit");
    let tagger = Signature::new("Ada", "ada@example.org", &git2::Time::new(2_000, 0)).expect("a tagger");
    world.upstream.tag("v1", &target, &tagger, "anew", true).expect("a tag");
    let after = resolve(&repository, "v1").await.expect("a tag");
    assert_eq!((&before.commit, &after.commit), (&commit, &commit));
    assert_ne!(before.tag, after.tag);
    assert_eq!(after.tag, world.tag_object("v1"));
}

#[tokio::test]
async fn an_unrelated_commit_leaves_the_ids_of_other_folders_alone() {
    let world = World::new();
    let first = world.commit("main", &[("a/x.yaml", "1"), ("b/x.yaml", "1")]);
    let second = world.commit("main", &[("a/x.yaml", "1"), ("b/x.yaml", "2")]);
    let repository = world.open();
    observe(&repository, &first).await.expect("a commit");
    observe(&repository, &second).await.expect("a commit");
    let handle = repository.handle().expect("a handle");
    let id = |commit: &str, path: &str| {
        handle.snapshot(commit).expect("a snapshot").entry(path).expect("an entry").id
    };
    assert_eq!(id(&first, "a"), id(&second, "a"));
    assert_ne!(id(&first, "b"), id(&second, "b"));
}

#[tokio::test]
async fn a_cache_that_is_lost_or_damaged_is_made_anew() {
    let world = World::new();
    let commit = world.commit("main", &[("a.yaml", "1")]);
    observe(&world.open(), "HEAD").await.expect("a commit");
    std::fs::remove_dir_all(world.cache()).expect("no cache");
    assert_eq!(observe(&world.open(), "HEAD").await, Ok(commit.clone()));
    for entry in std::fs::read_dir(world.cache()).expect("caches").flatten() {
        std::fs::write(entry.path().join("0/HEAD"), "nonsense").expect("damage");
    }
    assert_eq!(observe(&world.open(), "HEAD").await, Ok(commit));
}

#[tokio::test]
async fn a_cache_that_is_lost_while_it_is_used_is_made_anew() {
    let world = World::new();
    world.commit("main", &[("a.yaml", "1")]);
    let repository = world.open();
    observe(&repository, "HEAD").await.expect("a commit");
    std::fs::remove_dir_all(world.cache()).expect("no cache");
    let commit = world.commit("main", &[("a.yaml", "2")]);
    assert_eq!(observe(&repository, "HEAD").await, Ok(commit.clone()));
    std::fs::remove_dir_all(world.cache()).expect("no cache");
    repository.ensure(commit.clone()).await.expect("it is fetched once more");
    assert!(repository.handle().expect("a handle").snapshot(&commit).is_ok());
}

#[tokio::test]
async fn a_cache_with_many_packs_is_begun_anew() {
    let world = World::new();
    let repository = world.open();
    let mut last = String::new();
    for number in 0..70 {
        last = world.commit("main", &[("a.yaml", &number.to_string())]);
        observe(&repository, "HEAD").await.expect("a commit");
    }
    let folder = std::fs::read_dir(world.cache()).expect("caches").flatten().next().expect("a cache").path();
    let numbers: Vec<_> =
        std::fs::read_dir(&folder).expect("folders").flatten().map(|e| e.file_name()).collect();
    assert_eq!(numbers, ["1"]);
    assert_eq!(observe(&world.open(), "HEAD").await, Ok(last));
}
