//! The files at asked paths of a revision, in lexical order. Blocks on the cache.
//!
//! In: paths, with what was read there. Out: each file once, to whoever does something with it.

use ithaca_proto::v1::PathRead;
use tonic::Status;

use super::send::Stop;
use crate::cache::{Handle, Snapshot};
use crate::reads::{Entry, Kind};

/// How many files and folders are passed: trees that share their folders can have any number of either.
const MOST: usize = 500_000;
/// No path that anybody could write to a disk is longer.
const LONGEST_PATH: usize = 4096;

/// Calls `each` with every file at or below the paths, until it says no.
pub(super) fn walk(
    handle: &Handle<'_>,
    snapshot: &Snapshot<'_>,
    reads: &[PathRead],
    mut each: impl FnMut(String, &Entry) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let found = reads.iter().filter_map(|read| {
        let path = read.path.trim_matches('/').to_owned();
        let entry = as_read(handle, &read.object_id, snapshot.entry(&path))?;
        Some((path, entry))
    });
    // A stack of what is still to come, the first on top.
    let mut stack = in_order(found.collect());
    stack.reverse();
    let mut passed = 0;
    while let Some((path, entry)) = stack.pop() {
        passed += 1;
        if passed > MOST || path.len() > LONGEST_PATH {
            let excess = "the source has too many files and folders, or too deep ones";
            return Err(Stop::Failed(Status::resource_exhausted(excess)));
        }
        if entry.kind == Kind::Folder {
            let below = snapshot.list_folder(&entry.id).into_iter().rev();
            let join = |name: String| if path.is_empty() { name } else { format!("{path}/{name}") };
            stack.extend(below.map(|(name, entry)| (join(name), entry)));
        } else {
            each(path, &entry)?;
        }
    }
    Ok(())
}

/// What was read at a path: of an application that names its paths that may be older than what is there now.
fn as_read(handle: &Handle<'_>, id: &str, there: Option<Entry>) -> Option<Entry> {
    let is_there = |entry: &Entry| id.is_empty() || entry.id == id;
    if there.as_ref().is_some_and(is_there) {
        return there;
    }
    let older = git2::Oid::from_str(id).ok().and_then(|id| handle.find_object(id, None).ok());
    let kind = match (older.and_then(|object| object.kind()), &there) {
        (Some(git2::ObjectType::Tree), _) => Kind::Folder,
        (Some(git2::ObjectType::Blob), Some(Entry { kind: Kind::Folder | Kind::Module, .. }) | None) => {
            Kind::File
        }
        (Some(git2::ObjectType::Blob), Some(entry)) => entry.kind,
        // It is in the cache no more: then what is there now has to do.
        _ => return there,
    };
    Some(Entry { id: id.to_owned(), kind })
}

/// Sorts as the paths of the files will be, and leaves out what lies in a folder that is there as well.
fn in_order(mut entries: Vec<(String, Entry)>) -> Vec<(String, Entry)> {
    let sort_key = |(path, entry): &(String, Entry)| match entry.kind {
        Kind::Folder if !path.is_empty() => format!("{path}/"),
        _ => path.clone(),
    };
    entries.sort_by_key(sort_key);
    let mut kept: Vec<(String, Entry)> = Vec::with_capacity(entries.len());
    let mut folder: Option<String> = None;
    for (path, entry) in entries {
        let is_covered = folder.as_ref().is_some_and(|folder| path.starts_with(folder.as_str()))
            || kept.last().is_some_and(|(last, _)| *last == path);
        if is_covered {
            continue;
        }
        if entry.kind == Kind::Folder {
            folder = Some(if path.is_empty() { String::new() } else { format!("{path}/") });
        }
        kept.push((path, entry));
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use tokio::sync::watch;

    use super::*;
    use crate::cache::Caches;
    use crate::credentials::Credentials;
    use crate::git::Limits;
    use crate::metrics::Metrics;
    use crate::registry::Registry;
    use crate::repository::RepositoryKey;

    /// Of an application that says which paths concern it, what was read may be older than the revision.
    #[tokio::test]
    async fn what_was_read_is_served_whatever_the_revision_holds() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let upstream = git2::Repository::init_bare(folder.path().join("upstream"))?;
        let author = git2::Signature::now("Ada", "ada@example.com")?;
        let mut blobs = Vec::new();
        let mut parents = Vec::new();
        for text in ["one", "two"] {
            let mut tree = upstream.treebuilder(None)?;
            let blob = upstream.blob(text.as_bytes())?;
            tree.insert("a.yaml", blob, 0o100644)?;
            let tree = upstream.find_tree(tree.write()?)?;
            let parent: Vec<_> = parents.iter().collect();
            let commit = upstream.commit(Some("HEAD"), &author, &author, "Change", &tree, &parent)?;
            parents = vec![upstream.find_commit(commit)?];
            blobs.push(blob.to_string());
        }
        let limits = Limits { silence: Duration::from_secs(5), call: Duration::from_secs(10) };
        let credentials = Credentials::new(watch::channel(None).1, limits.silence);
        let (cache, archives) = (folder.path().join("cache"), crate::archive::ArchiveLimits::of_mib(1));
        let registry = Registry::new(Caches::below(cache), limits, archives, credentials, Metrics::new());
        let key =
            RepositoryKey::new(&format!("file://{}", folder.path().join("upstream").display()), "", true)?;
        let repository = registry.open(&key);
        let observed = repository.observe(BTreeSet::from(["HEAD".to_owned()]), false).await?;
        let commit = observed["HEAD"].clone()?.commit;
        let handle = repository.handle()?;
        let there = || Some(Entry { id: blobs[1].clone(), kind: Kind::Executable });
        let read = |id: &str, there| as_read(&handle, id, there).map(|entry| (entry.id, entry.kind));
        assert_eq!(handle.snapshot(&commit)?.entry("a.yaml").map(|entry| entry.id), Some(blobs[1].clone()));
        assert_eq!(read(&blobs[0], there()), Some((blobs[0].clone(), Kind::Executable)));
        assert_eq!(read(&blobs[0], None), Some((blobs[0].clone(), Kind::File)));
        assert_eq!(read("", there()), Some((blobs[1].clone(), Kind::Executable)));
        // What the cache has lost is what is there now.
        let lost = "0123456789012345678901234567890123456789";
        assert_eq!(read(lost, there()), Some((blobs[1].clone(), Kind::Executable)));
        assert_eq!(read(lost, None), None);
        Ok(())
    }

    #[test]
    fn asked_paths_are_sent_in_order_and_once() {
        let entry = |path: &str| {
            let kind = if path.contains('.') { Kind::File } else { Kind::Folder };
            (path.to_owned(), Entry { id: String::new(), kind })
        };
        let order = |paths: &[&str]| -> Vec<String> {
            in_order(paths.iter().map(|path| entry(path)).collect())
                .into_iter()
                .map(|(path, _)| path)
                .collect()
        };
        assert_eq!(order(&["b", "a/x.yaml", "a"]), ["a", "b"]);
        assert_eq!(order(&["a", "a.txt"]), ["a.txt", "a"]);
        assert_eq!(order(&["a.txt", "a.txt"]), ["a.txt"]);
        assert_eq!(order(&["", "a", "b.txt"]), [""]);
    }
}
