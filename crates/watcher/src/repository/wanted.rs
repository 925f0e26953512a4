//! What of a repository is wanted, as the one text that observations are keyed by.
//!
//! In: a revision and the source's `tagPrefix`. Out: the text, and both again from it. The prefix stands before a colon,
//! which no name of a reference and no version holds.

const SEPARATOR: char = ':';
/// Stands before the version of a chart whose archive is asked for with credentials wherever it is.
const PASSING: &str = "pass-credentials:";

/// The text of a chart's version, and whether its source has `passCredentials`.
pub fn of_chart(version: &str, passes_credentials: bool) -> String {
    format!("{}{version}", if passes_credentials { PASSING } else { "" })
}

/// Both from the text.
pub fn chart(text: &str) -> (&str, bool) {
    text.strip_prefix(PASSING).map_or((text, false), |version| (version, true))
}

/// A revision, and what stands before versions in the tags that it may pick from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// A reference, a commit id, or a version constraint.
    pub revision: &'a str,
    /// Empty where tags are versions.
    pub tag_prefix: &'a str,
}

impl<'a> Wanted<'a> {
    /// From the text.
    pub fn of(text: &'a str) -> Self {
        let (tag_prefix, revision) = text.rsplit_once(SEPARATOR).unwrap_or(("", text));
        Self { revision, tag_prefix }
    }

    /// The text.
    pub fn text(self) -> String {
        let Self { revision, tag_prefix } = self;
        if tag_prefix.is_empty() { revision.to_owned() } else { format!("{tag_prefix}{SEPARATOR}{revision}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charts_version_tells_whether_credentials_are_passed() {
        for (version, passes) in [("1.0.0", false), ("^1", true), ("sha256:00", false), ("sha256:00", true)] {
            assert_eq!(chart(&of_chart(version, passes)), (version, passes));
        }
    }

    #[test]
    fn a_prefix_is_told_from_its_revision() {
        for (revision, tag_prefix) in [("main", ""), ("1.x", "web-"), (">=1.2, <2 || 3.x", "charts/web/v")] {
            let wanted = Wanted { revision, tag_prefix };
            assert_eq!(Wanted::of(&wanted.text()), wanted);
        }
    }
}
