//! What a commit descends from, as the commits themselves name it: a cache that was fetched without history shows none.

use std::collections::HashSet;

use git2::{ObjectType, Oid, Repository};

/// Commits that are remembered to have their history here.
const MOST: usize = 256;

/// Commits whose whole history was found in a cache, so that later looks end at them.
#[derive(Debug, Default)]
pub struct Histories {
    whole: HashSet<Oid>,
}

impl Histories {
    /// Whether all that a commit descends from is in the cache.
    pub fn has(&mut self, cache: &Repository, commit: Oid) -> bool {
        let (mut seen, mut waiting) = (HashSet::new(), vec![commit]);
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            let Ok(parents) = parents(cache, id) else { return false };
            // A cache may have been emptied since.
            let is_known =
                self.whole.contains(&id) && parents.iter().all(|id| self::parents(cache, *id).is_ok());
            if !is_known {
                waiting.extend(parents);
            }
        }
        if self.whole.len() >= MOST {
            self.whole.clear();
        }
        self.whole.insert(commit);
        true
    }
}

/// The parents of a commit that is here.
pub fn parents(cache: &Repository, id: Oid) -> Result<Vec<Oid>, git2::Error> {
    let odb = cache.odb()?;
    let object = odb.read(id)?;
    if object.kind() != ObjectType::Commit {
        return Err(git2::Error::from_str("it is no commit"));
    }
    let head = object.data().split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
    let named = head.filter_map(|line| line.strip_prefix(b"parent "));
    named.map(|id| Oid::from_str(&String::from_utf8_lossy(id))).collect()
}
