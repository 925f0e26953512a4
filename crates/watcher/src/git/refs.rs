//! Which commit a revision names, decided on what the remote lists.

use std::collections::BTreeMap;

use git2::Oid;
use ithaca_api::{Version, VersionConstraint};

use crate::repository::Wanted;

/// The references that a remote lists, tags peeled to what they point at.
#[derive(Clone, Debug, Default)]
pub(super) struct Refs {
    /// What `HEAD` points at: the reference's name where known, and its commit.
    head: Option<(String, Oid)>,
    /// By name, so that of equal ones always the same is chosen.
    commits: BTreeMap<String, Oid>,
    /// The objects of annotated tags.
    tags: BTreeMap<String, Oid>,
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
    /// A constraint that no tag is a version for.
    NoVersion,
    /// Nothing.
    Unknown,
}

const HEAD: &str = "HEAD";
const PEELED: &str = "^{}";
pub(super) const TAGS: &str = "refs/tags/";
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
                if let Some(object) = refs.commits.insert(tag.to_owned(), id) {
                    refs.tags.insert(tag.to_owned(), object);
                }
            } else {
                refs.commits.insert(name.to_owned(), id);
            }
        }
        refs
    }

    /// What a revision names: `HEAD`, a full id, a constraint that a tag is a version for, a branch, a tag, a reference
    /// with or without its `refs/`, a beginning of an id. The first of these counts, as with Argo CD: a branch `1.x` is
    /// meant only where no tag is such a version.
    pub(super) fn resolve(&self, Wanted { revision, tag_prefix }: Wanted<'_>) -> Named {
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
        let version = self.resolve_version(revision, tag_prefix);
        if matches!(version, Named::Reference(..)) {
            return version;
        }
        let spellings = [
            format!("refs/heads/{revision}"),
            format!("{TAGS}{revision}"),
            revision.to_owned(),
            format!("refs/{revision}"),
        ];
        for name in spellings.iter().filter(|name| name.starts_with("refs/")) {
            if let Some(id) = self.commits.get(name) {
                return Named::Reference(name.clone(), *id);
            }
        }
        match version {
            Named::Unknown => self.resolve_prefix(revision),
            named => named,
        }
    }

    /// The tag of the highest version that a constraint takes. A plain version is a name, and a constraint only where
    /// tags have something before it.
    fn resolve_version(&self, revision: &str, tag_prefix: &str) -> Named {
        let Ok(constraint) = VersionConstraint::parse(revision) else { return Named::Unknown };
        let exact = Version::parse(revision);
        if exact.is_some() && tag_prefix.is_empty() {
            return Named::Unknown;
        }
        let tags = || {
            let tags = self.commits.iter();
            tags.filter_map(|(name, id)| Some((name.strip_prefix(TAGS)?.strip_prefix(tag_prefix)?, id)))
        };
        let versions = tags().map(|(version, _)| version);
        let version = match &exact {
            Some(exact) => versions.clone().find(|text| Version::parse(text).as_ref() == Some(exact)),
            None => constraint.highest(versions),
        };
        match version.and_then(|version| tags().find(|(known, _)| *known == version)) {
            Some((version, id)) => Named::Reference(format!("{TAGS}{tag_prefix}{version}"), *id),
            None => Named::NoVersion,
        }
    }

    /// The object of an annotated tag.
    pub(super) fn tag(&self, name: &str) -> Option<Oid> {
        self.tags.get(name).copied()
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

    fn resolve(refs: &Refs, revision: &str) -> Named {
        refs.resolve(Wanted::of(revision))
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
            ("pull/7/head", "refs/pull/7/head", "aaaaaaa2"),
            ("tags/v1", "refs/tags/v1", "ddddddd1"),
            ("BBBBBBB1", "refs/heads/feature/x", "bbbbbbb1"),
        ] {
            assert_eq!(resolve(&refs(), revision), Named::Reference(name.into(), id(digits)), "{revision}");
        }
    }

    #[test]
    fn only_annotated_tags_have_objects_of_their_own() {
        let tag = |name: &str| refs().tag(name);
        assert_eq!(tag("refs/tags/v2"), Some(id("eeeeeee1")));
        assert_eq!((tag("refs/tags/v1"), tag("refs/heads/v1")), (None, None));
    }

    #[test]
    fn ids_resolve_to_themselves_and_prefixes_only_where_clear() {
        let full = id("12345678");
        assert_eq!(resolve(&refs(), &full.to_string()), Named::Commit(full));
        assert_eq!(resolve(&refs(), "1234567"), Named::Prefix("1234567".into()));
        assert_eq!(resolve(&refs(), "aaaaaaa"), Named::Ambiguous);
        assert_eq!(resolve(&refs(), "aaaaaa"), Named::Unknown);
        assert_eq!(resolve(&refs(), "nothing"), Named::Unknown);
    }

    #[test]
    fn constraints_pick_the_highest_tag_unless_they_are_names() {
        let names = [
            "heads/main",
            "heads/2.x",
            "heads/4.x",
            "tags/v1.2.0",
            "tags/1.10.0",
            "tags/v1.10.0",
            "tags/v1.11.0-rc.1",
            "tags/v2.0.0",
            "tags/2.0.1",
            "tags/nightly",
            "tags/web-1.0.0",
            "tags/web-v1.4.0",
            "tags/web-1.5.0-rc.1",
            "tags/web-x",
            "tags/~0.1",
            "heads/3.0.0",
        ];
        let names: Vec<_> = names.iter().map(|name| format!("refs/{name}")).collect();
        let refs = Refs::new(names.iter().map(|name| (name.as_str(), id("abcdef12"), None)));
        for (revision, expected) in [
            ("1.x", Some("tags/1.10.0")),
            ("^1.2", Some("tags/1.10.0")),
            (">=1.2, <1.5 || 9.x", Some("tags/v1.2.0")),
            (">=1.2.0-0 <2", Some("tags/v1.11.0-rc.1")),
            ("*", Some("tags/2.0.1")),
            ("2.x", Some("tags/2.0.1")),
            ("4.x", Some("heads/4.x")),
            ("~0.1", Some("tags/~0.1")),
            ("web-:1.x", Some("tags/web-v1.4.0")),
            ("web-:>=1.4.1-0", Some("tags/web-1.5.0-rc.1")),
            ("web-:1.4.0", Some("tags/web-v1.4.0")),
            ("web-:v1.0.0", Some("tags/web-1.0.0")),
            ("web-:main", Some("heads/main")),
            ("web-v:*", Some("tags/web-v1.4.0")),
            ("7.x", None),
            ("other-:*", None),
            ("web-:9.9.9", None),
        ] {
            let expected = match expected {
                Some(name) => Named::Reference(format!("refs/{name}"), id("abcdef12")),
                None => Named::NoVersion,
            };
            assert_eq!(resolve(&refs, revision), expected, "{revision}");
        }
        assert_eq!(resolve(&refs, "1.2.0"), Named::Unknown, "a plain version is a name");
    }

    #[test]
    fn an_empty_repository_has_no_head() {
        assert_eq!(resolve(&Refs::default(), "HEAD"), Named::Unknown);
    }
}
