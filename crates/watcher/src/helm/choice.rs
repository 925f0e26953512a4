//! Which version of a chart a revision names, decided while the versions pass by: none of the others is kept.

use std::collections::BTreeMap;

use ithaca_api::{Version, VersionConstraint};

use super::index::Entry;

/// The revisions that are wanted, and the best that was seen for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    wanted: BTreeMap<String, Wanted>,
    /// How many versions were seen.
    known: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Wanted {
    constraint: Option<VersionConstraint>,
    best: Option<Candidate>,
}

#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    version: Version,
    entry: Entry,
}

impl Choice {
    /// Nothing seen yet. A revision is a version or a constraint on versions.
    pub fn new<'a>(revisions: impl IntoIterator<Item = &'a String>) -> Self {
        let wanted = |revision: &String| {
            let constraint = VersionConstraint::parse(revision).ok();
            (revision.clone(), Wanted { constraint, best: None })
        };
        Self { wanted: revisions.into_iter().map(wanted).collect(), known: 0 }
    }

    /// Looks at a version. One that is written just as the revision is wins over all others; else the highest does.
    pub fn offer(&mut self, entry: Entry) {
        let Some(version) = Version::parse(&entry.version) else { return };
        self.known += 1;
        for (revision, wanted) in &mut self.wanted {
            let is_exact = entry.version == *revision;
            if !is_exact && !wanted.constraint.as_ref().is_some_and(|constraint| constraint.matches(&version))
            {
                continue;
            }
            let is_better = wanted
                .best
                .as_ref()
                .is_none_or(|best| best.entry.version != *revision && (is_exact || version > best.version));
            if is_better {
                wanted.best = Some(Candidate { version: version.clone(), entry: entry.clone() });
            }
        }
    }

    /// What was found for each revision.
    pub fn found(&self) -> impl Iterator<Item = (&String, Option<&Entry>)> {
        self.wanted.iter().map(|(revision, wanted)| (revision, wanted.best.as_ref().map(|best| &best.entry)))
    }

    /// True where each of these revisions was looked for.
    pub fn covers<'a>(&self, mut revisions: impl Iterator<Item = &'a String>) -> bool {
        revisions.all(|revision| self.wanted.contains_key(revision))
    }

    /// How many versions were seen.
    pub fn known(&self) -> usize {
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(revision: &str, versions: &[&str]) -> Option<String> {
        let mut choice = Choice::new([&revision.to_owned()]);
        for version in versions {
            choice.offer(Entry { version: (*version).to_owned(), ..Entry::default() });
        }
        choice.found().next().and_then(|(_, entry)| entry.map(|entry| entry.version.clone()))
    }

    #[test]
    fn the_highest_that_is_meant_is_chosen_in_whatever_order_they_come() {
        let versions = ["1.9.0", "1.10.0", "v2.0.0", "2.1.0-rc.1", "1.10.0+build", "nonsense", "0.9.0"];
        for (revision, chosen) in [
            ("1.9.0", Some("1.9.0")),
            ("v1.9.0", Some("1.9.0")),
            ("2.0.0", Some("v2.0.0")),
            ("1.10.0", Some("1.10.0")),
            ("1.10.0+build", Some("1.10.0+build")),
            ("^1.2", Some("1.10.0")),
            ("1.x", Some("1.10.0")),
            ("*", Some("v2.0.0")),
            (">=2.0.0-0", Some("2.1.0-rc.1")),
            ("2.1.0-rc.1", Some("2.1.0-rc.1")),
            ("^3", None),
            ("nonsense", None),
            ("not a version", None),
        ] {
            assert_eq!(choose(revision, &versions).as_deref(), chosen, "{revision}");
            let reversed: Vec<_> =
                versions.iter().rev().copied().filter(|text| !text.ends_with("+build")).collect();
            if revision != "1.10.0+build" {
                assert_eq!(choose(revision, &reversed).as_deref(), chosen, "{revision}, reversed");
            }
        }
    }

    #[test]
    fn the_very_text_wins_over_an_equal_version() {
        for versions in [["v1.0.0", "1.0.0"], ["1.0.0", "v1.0.0"]] {
            assert_eq!(choose("1.0.0", &versions).as_deref(), Some("1.0.0"));
            assert_eq!(choose("v1.0.0", &versions).as_deref(), Some("v1.0.0"));
        }
    }
}
