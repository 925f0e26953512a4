//! What of a repository is wanted, as the one text that observations are keyed by.
//!
//! In: a revision and the source's `tagPrefix`. Out: the text, and both again from it. The prefix stands before a colon,
//! which no name of a reference and no version holds.

const SEPARATOR: char = ':';

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
    fn a_prefix_is_told_from_its_revision() {
        for (revision, tag_prefix) in [("main", ""), ("1.x", "web-"), (">=1.2, <2 || 3.x", "charts/web/v")] {
            let wanted = Wanted { revision, tag_prefix };
            assert_eq!(Wanted::of(&wanted.text()), wanted);
        }
    }
}
