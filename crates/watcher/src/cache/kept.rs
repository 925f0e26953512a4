//! Revisions whose files did not come as commits: each is kept as one, without a parent, under a reference of its own.

use git2::{ErrorCode, Oid, Repository, Signature, Time};
use sha2::{Digest, Sha256};

/// Where they are kept.
const FOLDER: &str = "refs/ithaca/revisions/";

/// A revision that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The commit that holds its files.
    pub commit: Oid,
    /// What they came from, such as the digest of an archive.
    pub origin: String,
}

/// The revision, if it is here.
pub fn kept(cache: &Repository, revision: &str) -> Result<Option<Kept>, git2::Error> {
    let reference = match cache.find_reference(&name(revision)) {
        Ok(reference) => reference,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let commit = reference.peel_to_commit()?;
    if commit.tree().is_err() {
        return Ok(None);
    }
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let origin = message.split_once("\n\n").map(|(_, origin)| origin.trim().to_owned());
    Ok(Some(Kept { commit: commit.id(), origin: origin.unwrap_or_default() }))
}

/// Keeps a tree as the files of a revision, in place of what was kept as that before.
pub fn keep(cache: &Repository, revision: &str, tree: Oid, origin: &str) -> Result<Kept, git2::Error> {
    // Whoever makes it, whenever: the same files of the same origin are the same commit.
    let nobody = Signature::new("ithaca", "ithaca", &Time::new(0, 0))?;
    let message = format!("{revision}\n\n{origin}\n");
    let commit = cache.commit(None, &nobody, &nobody, &message, &cache.find_tree(tree)?, &[])?;
    cache.reference(&name(revision), commit, true, "")?;
    Ok(Kept { commit, origin: origin.to_owned() })
}

/// How many revisions are kept.
pub fn count(cache: &Repository) -> usize {
    cache.references_glob(&format!("{FOLDER}*")).map_or(0, Iterator::count)
}

/// Copies a revision with its files into another cache, if it is here.
pub fn carry(from: &Repository, to: &Repository, revision: &str) -> Result<(), git2::Error> {
    let Some(kept) = kept(from, revision)? else { return Ok(()) };
    let tree = from.find_commit(kept.commit)?.tree_id();
    copy(from, to, tree)?;
    keep(to, revision, tree, &kept.origin).map(drop)
}

fn copy(from: &Repository, to: &Repository, tree: Oid) -> Result<(), git2::Error> {
    let (source, target) = (from.odb()?, to.odb()?);
    let mut waiting = vec![tree];
    while let Some(id) = waiting.pop() {
        if target.exists(id) {
            continue;
        }
        let object = source.read(id)?;
        target.write(object.kind(), object.data())?;
        if let Ok(tree) = from.find_tree(id) {
            waiting.extend(tree.iter().map(|entry| entry.id()));
        }
    }
    Ok(())
}

/// A revision may hold what no reference may be called.
fn name(revision: &str) -> String {
    format!("{FOLDER}{}", hex::encode(&Sha256::digest(revision)[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Repository) {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Repository::init_bare(folder.path()).expect("a cache");
        (folder, cache)
    }

    fn tree(cache: &Repository, text: &str) -> Oid {
        let mut folder = cache.treebuilder(None).expect("a folder");
        folder.insert("a", cache.blob(text.as_bytes()).expect("a blob"), 0o100_644).expect("an entry");
        let mut root = cache.treebuilder(None).expect("a root");
        root.insert("deep", folder.write().expect("a tree"), 0o040_000).expect("an entry");
        root.write().expect("a tree")
    }

    #[test]
    fn a_revision_is_kept_with_its_origin_until_another_takes_its_place() {
        let (_folder, cache) = cache();
        let revision = "1.2.3+odd ~^:name";
        assert_eq!(kept(&cache, revision), Ok(None));
        let first = keep(&cache, revision, tree(&cache, "1"), "sha256:aa").expect("kept");
        assert_eq!(kept(&cache, revision), Ok(Some(first.clone())));
        assert_eq!(first.origin, "sha256:aa");
        assert_eq!(keep(&cache, revision, tree(&cache, "1"), "sha256:aa"), Ok(first.clone()));
        let second = keep(&cache, revision, tree(&cache, "2"), "sha256:bb").expect("kept");
        assert_ne!(first.commit, second.commit);
        assert_eq!(kept(&cache, revision), Ok(Some(second)));
        assert_eq!(count(&cache), 1);
    }

    #[test]
    fn a_revision_is_carried_with_all_its_files() {
        let ((_one, from), (_other, to)) = (cache(), cache());
        let first = keep(&from, "1.0.0", tree(&from, "1"), "sha256:aa").expect("kept");
        carry(&from, &to, "1.0.0").expect("carried");
        carry(&from, &to, "9.9.9").expect("nothing to carry");
        assert_eq!(kept(&to, "1.0.0"), Ok(Some(first.clone())));
        let tree = to.find_commit(first.commit).and_then(|commit| commit.tree()).expect("a tree");
        let entry = tree.get_path(std::path::Path::new("deep/a")).expect("a file");
        assert_eq!(to.find_blob(entry.id()).expect("a blob").content(), b"1");
    }
}
