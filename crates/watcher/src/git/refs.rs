//! Which commit a revision names, decided on what the remote lists.

use std::collections::HashMap;

use git2::Oid;

/// The references that a remote lists, tags peeled to what they point at.
#[derive(Clone, Debug, Default)]
pub(super) struct Refs {
    /// What `HEAD` points at: the reference's name where known, and its commit.
    head: Option<(String, Oid)>,
    commits: HashMap<String, Oid>,
}

/// What a revision names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A listed reference and its commit.
    Reference(String, Oid),
    /// A full commit id, listed or not.
    Commit(Oid),
    /// The beginning of a commit id that no listed reference settles.
    Prefix(String),
    /// Several listed commits begin so.
    Ambiguous,
    /// Nothing.
    Unknown,
}

const HEAD: &str = "HEAD";
const PEELED: &str = "^{}";
/// The fewest digits that count as the beginning of a commit id.
const SHORTEST_PREFIX: usize = 7;

impl Refs {
    /// From name, commit and, for `HEAD`, the name of the reference it stands for.
    pub(super) fn new<'a>(listed: impl IntoIterator<Item = (&'a str, Oid, Option<&'a str>)>) -> Self {
        let mut refs = Self::default();
        for (name, id, stands_for) in listed {
            if name == HEAD {
                refs.head = Some((stands_for.unwrap_or(HEAD).to_owned(), id));
            } else if let Some(tag) = name.strip_suffix(PEELED) {
                refs.commits.insert(tag.to_owned(), id);
            } else {
                refs.commits.entry(name.to_owned()).or_insert(id);
            }
        }
        refs
    }

    /// What a revision names: `HEAD`, a full id, a branch, a tag, a full reference, a beginning of an id.
    pub(super) fn resolve(&self, revision: &str) -> Named {
        if revision.is_empty() || revision == HEAD {
            return match &self.head {
                Some((name, id)) => Named::Reference(name.clone(), *id),
                None => Named::Unknown,
            };
        }
        if revision.len() == 40
            && let Ok(id) = Oid::from_str(revision)
        {
            return Named::Commit(id);
        }
        let spellings =
            [format!("refs/heads/{revision}"), format!("refs/tags/{revision}"), revision.to_owned()];
        for name in spellings.iter().filter(|name| name.starts_with("refs/")) {
            if let Some(id) = self.commits.get(name) {
                return Named::Reference(name.clone(), *id);
            }
        }
        self.resolve_prefix(revision)
    }

    fn resolve_prefix(&self, revision: &str) -> Named {
        let is_prefix = (SHORTEST_PREFIX..40).contains(&revision.len())
            && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_prefix {
            return Named::Unknown;
        }
        let prefix = revision.to_ascii_lowercase();
        let mut found: Option<(&String, Oid)> = None;
        for (name, id) in &self.commits {
            if !id.to_string().starts_with(&prefix) {
                continue;
            }
            match found {
                Some((_, known)) if known != *id => return Named::Ambiguous,
                _ => found = Some((name, *id)),
            }
        }
        match found {
            Some((name, id)) => Named::Reference(name.clone(), id),
            None => Named::Prefix(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digits: &str) -> Oid {
        Oid::from_str(&format!("{digits:0<40}")).expect("an id")
    }

    fn refs() -> Refs {
        Refs::new([
            ("HEAD", id("aaaaaaa1"), Some("refs/heads/main")),
            ("refs/heads/main", id("aaaaaaa1"), None),
            ("refs/heads/feature/x", id("bbbbbbb1"), None),
            ("refs/heads/v1", id("ccccccc1"), None),
            ("refs/tags/v1", id("ddddddd1"), None),
            ("refs/tags/v2", id("eeeeeee1"), None),
            ("refs/tags/v2^{}", id("fffffff1"), None),
            ("refs/pull/7/head", id("aaaaaaa2"), None),
        ])
    }

    #[test]
    fn names_resolve_to_the_commit_that_git_means() {
        for (revision, name, digits) in [
            ("", "refs/heads/main", "aaaaaaa1"),
            ("HEAD", "refs/heads/main", "aaaaaaa1"),
            ("main", "refs/heads/main", "aaaaaaa1"),
            ("feature/x", "refs/heads/feature/x", "bbbbbbb1"),
            ("v1", "refs/heads/v1", "ccccccc1"),
            ("refs/tags/v1", "refs/tags/v1", "ddddddd1"),
            ("v2", "refs/tags/v2", "fffffff1"),
            ("refs/pull/7/head", "refs/pull/7/head", "aaaaaaa2"),
            ("BBBBBBB1", "refs/heads/feature/x", "bbbbbbb1"),
        ] {
            assert_eq!(refs().resolve(revision), Named::Reference(name.into(), id(digits)), "{revision}");
        }
    }

    #[test]
    fn ids_resolve_to_themselves_and_prefixes_only_where_clear() {
        let full = id("12345678");
        assert_eq!(refs().resolve(&full.to_string()), Named::Commit(full));
        assert_eq!(refs().resolve("1234567"), Named::Prefix("1234567".into()));
        assert_eq!(refs().resolve("aaaaaaa"), Named::Ambiguous);
        assert_eq!(refs().resolve("aaaaaa"), Named::Unknown);
        assert_eq!(refs().resolve("nothing"), Named::Unknown);
    }

    #[test]
    fn an_empty_repository_has_no_head() {
        assert_eq!(Refs::default().resolve("HEAD"), Named::Unknown);
    }
}
