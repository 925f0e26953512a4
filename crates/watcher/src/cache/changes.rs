//! The files that differ between two trees: their ids come in, paths go out. It stops where too many differ: trees may share
//! folders, so that a change of one file is a change of any number.

use std::collections::{BTreeMap, BTreeSet};

use git2::{Oid, Repository};

use super::snapshot::LONGEST_PATH;

/// Changed files and folders that are looked at one by one.
const MOST: usize = 10_000;
/// The mode of a folder.
const FOLDER: i32 = 0o040_000;

/// What a folder holds: the id and the mode by name.
type Entries = BTreeMap<Vec<u8>, (Oid, i32)>;

/// The files that differ; None where a tree is not here, or too many differ to look at each of them.
pub fn changed(cache: &Repository, before: Oid, after: Oid) -> Option<Vec<String>> {
    let (mut files, mut looked_at) = (Vec::new(), 0);
    let mut folders = vec![(String::new(), Some(before), Some(after))];
    while let Some((folder, before, after)) = folders.pop() {
        let (before, after) = (entries(cache, before)?, entries(cache, after)?);
        let names: BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (one, other) = (before.get(name), after.get(name));
            if one == other {
                continue;
            }
            let name = String::from_utf8_lossy(name);
            let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
            looked_at += 1;
            if looked_at > MOST || path.len() > LONGEST_PATH {
                return None;
            }
            let is_folder = |entry: &&(Oid, i32)| entry.1 == FOLDER;
            let below = [one, other].map(|entry| entry.filter(is_folder).map(|(id, _)| *id));
            if [one, other].into_iter().flatten().any(|entry| !is_folder(&entry)) {
                files.push(path.clone());
            }
            if let [Some(_), _] | [_, Some(_)] = below {
                folders.push((path, below[0], below[1]));
            }
        }
    }
    files.sort();
    Some(files)
}

fn entries(cache: &Repository, tree: Option<Oid>) -> Option<Entries> {
    let Some(tree) = tree else { return Some(Entries::new()) };
    let tree = cache.find_tree(tree).ok()?;
    Some(tree.iter().map(|entry| (entry.name_bytes().to_vec(), (entry.id(), entry.filemode()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(cache: &Repository, entries: &[(&str, Oid, i32)]) -> Oid {
        let mut folder = cache.treebuilder(None).expect("a folder");
        for (name, id, mode) in entries {
            folder.insert(name, *id, *mode).expect("an entry");
        }
        folder.write().expect("a tree")
    }

    #[test]
    fn what_differs_is_told_file_by_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Repository::init_bare(folder.path()).expect("a cache");
        let [one, two] = ["1", "2"].map(|text| cache.blob(text.as_bytes()).expect("a blob"));
        let (file, program) = (0o100_644, 0o100_755);
        let same = tree(&cache, &[("s", one, file)]);
        let deep = |id| tree(&cache, &[("d", tree(&cache, &[("x", id, file), ("y", one, file)]), FOLDER)]);
        let before = tree(
            &cache,
            &[
                ("deep", deep(one), FOLDER),
                ("gone", same, FOLDER),
                ("mode", one, file),
                ("same", same, FOLDER),
                ("turned", one, file),
            ],
        );
        let after = tree(
            &cache,
            &[
                ("deep", deep(two), FOLDER),
                ("mode", one, program),
                ("new", two, file),
                ("same", same, FOLDER),
                ("turned", same, FOLDER),
            ],
        );
        let expected = ["deep/d/x", "gone/s", "mode", "new", "turned", "turned/s"].map(str::to_owned);
        assert_eq!(changed(&cache, before, after), Some(expected.to_vec()));
        assert_eq!(changed(&cache, before, before), Some(Vec::new()));
        assert_eq!(changed(&cache, before, one), None);
    }

    #[test]
    fn one_file_that_is_everywhere_is_too_many() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Repository::init_bare(folder.path()).expect("a cache");
        let shared = |text: &str| {
            let mut id = cache.blob(text.as_bytes()).expect("a blob");
            let names: Vec<String> = (0..100).map(|number| number.to_string()).collect();
            for mode in [0o100_644, FOLDER, FOLDER, FOLDER] {
                let entries: Vec<_> = names.iter().map(|name| (name.as_str(), id, mode)).collect();
                id = tree(&cache, &entries);
            }
            id
        };
        assert_eq!(changed(&cache, shared("1"), shared("2")), None);
    }
}
