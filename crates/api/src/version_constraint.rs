//! Versions and the constraints on them, as Helm charts and Argo CD's sources write them: `^1.2`, `~1.2.3`, `1.x`,
//! `>=1.2, <2 || 3.x`, `1.2 - 1.4`, `!=1.3.0`.
//!
//! In: texts of users and of repositories. Out: whether a version is one that a constraint takes, and the highest
//! that is. The rules are those of the library that Helm and Argo CD use, odd corners included: a chart or a tag is
//! chosen here exactly where it is chosen there.
//!
//! | written | takes |
//! |---|---|
//! | `1.2.3`, `=1.2.3` | that version |
//! | `1.2`, `1.2.x`, `1.*`, `*` | all that begin so |
//! | `~1.2.3` | from there to below `1.3.0` |
//! | `^1.2.3` | from there to below `2.0.0`; `^0.2.3` to below `0.3.0`; `^0.0.3` only itself |
//! | `>1.2` | from `1.3.0`, for `1.2.x` is not above `1.2` |
//! | `<=1.2` | to below `1.3.0` |
//! | `1.2 - 1.4` | as `>=1.2, <=1.4` |
//! | a space or a comma | and |
//! | `\|\|` | or |
//!
//! Pre-releases are taken only where a constraint joined by "and" names one: `>=1.2.0-0`.

mod comparator;
mod version;

use comparator::{Comparator, Operator};

use version::Partial;
pub use version::Version;

/// The longest constraint that is read, in bytes.
const LONGEST: usize = 512;
/// The most alternatives.
const MOST_ALTERNATIVES: usize = 32;

/// A text that is no constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {text:?} as a version constraint such as ^1.2, 1.x or \">=1.2, <2\"")]
pub struct VersionConstraintError {
    text: String,
}

/// Which versions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionConstraint {
    alternatives: Vec<Alternative>,
}

/// What a version must be all of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    comparators: Vec<Comparator>,
    takes_prereleases: bool,
}

impl VersionConstraint {
    /// Reads a constraint. A plain version is one too.
    pub fn parse(text: &str) -> Result<Self, VersionConstraintError> {
        let refused = || VersionConstraintError { text: text.chars().take(LONGEST).collect() };
        if text.len() > LONGEST || text.split("||").count() > MOST_ALTERNATIVES {
            return Err(refused());
        }
        let alternatives: Option<_> = text.split("||").map(Alternative::parse).collect();
        alternatives.map(|alternatives| Self { alternatives }).ok_or_else(refused)
    }

    /// Whether a version is one of those that are wanted.
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(version))
    }

    /// The highest of those that are wanted; of equal ones the first. What is no version is passed over.
    pub fn highest<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let mut highest: Option<(Version, &str)> = None;
        for text in texts {
            let Some(version) = Version::parse(text).filter(|version| self.matches(version)) else {
                continue;
            };
            if highest.as_ref().is_none_or(|(known, _)| version > *known) {
                highest = Some((version, text));
            }
        }
        highest.map(|(_, text)| text)
    }
}

impl Alternative {
    /// Comparators separated by spaces or single commas.
    fn parse(text: &str) -> Option<Self> {
        let mut comparators = Vec::new();
        let mut rest = text.trim_ascii();
        loop {
            let (operator, after) = Operator::read(rest);
            let (version, after) = read_version(after)?;
            rest = after.trim_ascii_start();
            match (operator, read_upper(after)) {
                (None, Some(upper)) => {
                    let (upper, after) = read_version(upper)?;
                    comparators.push(Comparator::new(Operator::GreaterOrEqual, version));
                    comparators.push(Comparator::new(Operator::LessOrEqual, upper));
                    rest = after.trim_ascii_start();
                }
                (operator, _) => {
                    comparators.push(Comparator::new(operator.unwrap_or(Operator::Equal), version));
                }
            }
            if rest.is_empty() {
                let takes_prereleases = comparators.iter().any(Comparator::names_prerelease);
                return Some(Self { comparators, takes_prereleases });
            }
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_ascii_start();
        }
    }

    fn matches(&self, version: &Version) -> bool {
        (self.takes_prereleases || !version.is_prerelease())
            && self.comparators.iter().all(|comparator| comparator.matches(version))
    }
}

/// What follows the ` - ` of a range.
fn read_upper(text: &str) -> Option<&str> {
    let rest = text.trim_ascii_start().strip_prefix('-').filter(|_| text.starts_with(is_space))?;
    rest.starts_with(is_space).then(|| rest.trim_ascii_start())
}

/// The version up to the next space or comma, and what follows.
fn read_version(text: &str) -> Option<(Partial, &str)> {
    let text = text.trim_ascii_start();
    let end = text.find(|character| character == ',' || is_space(character)).unwrap_or(text.len());
    let (version, rest) = text.split_at(end);
    Some((Partial::parse(version)?, rest))
}

fn is_space(character: char) -> bool {
    character.is_ascii_whitespace()
}

#[cfg(test)]
mod tests;
