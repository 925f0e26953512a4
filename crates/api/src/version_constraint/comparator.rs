//! One comparison with a version, such as `>=1.2`. Whether pre-releases count at all is not decided here.

use super::version::{Partial, Version, Written};

/// How a version is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `=`, or none.
    Equal,
    /// `!=`.
    NotEqual,
    /// `>`.
    Greater,
    /// `<`.
    Less,
    /// `>=`, `=>`.
    GreaterOrEqual,
    /// `<=`, `=<`.
    LessOrEqual,
    /// `~`, `~>`.
    Tilde,
    /// `^`.
    Caret,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comparator {
    operator: Operator,
    with: Partial,
}

/// Longer ones before those that they begin with.
const SPELLINGS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Operator {
    /// The operator that a text begins with, if any, and what follows.
    pub(super) fn read(text: &str) -> (Option<Self>, &str) {
        SPELLINGS
            .iter()
            .find_map(|(spelling, operator)| Some((Some(*operator), text.strip_prefix(spelling)?)))
            .unwrap_or((None, text))
    }
}

impl Comparator {
    pub(super) fn new(operator: Operator, with: Partial) -> Self {
        Self { operator, with }
    }

    pub(super) fn names_prerelease(&self) -> bool {
        self.with.lowest.is_prerelease()
    }

    pub(super) fn matches(&self, version: &Version) -> bool {
        let Partial { lowest, written } = &self.with;
        match (self.operator, written) {
            (Operator::Equal, Written::All) => version == lowest,
            (Operator::Equal | Operator::Tilde, _) => is_from_and_alike(version, lowest, *written),
            (Operator::NotEqual, _) => differs(version, lowest, *written),
            (Operator::Greater, Written::Major) => version.major() > lowest.major(),
            (Operator::Greater, Written::Minor) => {
                (version.major(), version.minor()) > (lowest.major(), lowest.minor())
            }
            // `>*` takes all but 0.0.0 and what comes before it.
            (Operator::Greater, Written::Nothing | Written::All) => version > lowest,
            (Operator::Less, _) => version < lowest,
            (Operator::GreaterOrEqual, _) => version >= lowest,
            (Operator::LessOrEqual, Written::All) => version <= lowest,
            (Operator::LessOrEqual, Written::Major) => version.major() <= lowest.major(),
            (Operator::LessOrEqual, Written::Minor | Written::Nothing) => {
                (version.major(), version.minor()) <= (lowest.major(), lowest.minor())
            }
            (Operator::Caret, _) => is_from_and_compatible(version, lowest, *written),
        }
    }
}

/// `~1.2.3`: from there, with the same major and, where it is written, minor number.
fn is_from_and_alike(version: &Version, lowest: &Version, written: Written) -> bool {
    let is_zero = (lowest.major(), lowest.minor(), lowest.patch()) == (0, 0, 0);
    let has_same_numbers = match written {
        Written::Nothing => true,
        // `~0.0.0` is read as `>=0.0.0`.
        Written::All if is_zero => true,
        Written::Major => version.major() == lowest.major(),
        Written::Minor | Written::All => {
            (version.major(), version.minor()) == (lowest.major(), lowest.minor())
        }
    };
    version >= lowest && has_same_numbers
}

/// `^1.2.3`: from there, with the same first number that is not zero.
fn is_from_and_compatible(version: &Version, lowest: &Version, written: Written) -> bool {
    let has_same_numbers = if lowest.major() > 0 || written == Written::Major {
        version.major() == lowest.major()
    } else if lowest.minor() > 0 || written == Written::Minor {
        (version.major(), version.minor()) == (0, lowest.minor())
    } else {
        (version.major(), version.minor(), version.patch()) == (0, 0, lowest.patch())
    };
    version >= lowest && has_same_numbers
}

/// `!=1.2`: no version that begins so.
fn differs(version: &Version, lowest: &Version, written: Written) -> bool {
    match written {
        Written::Major => version.major() != lowest.major(),
        // Where there are pre-releases, only those with the same one are equal.
        Written::Minor => {
            (version.major(), version.minor()) != (lowest.major(), lowest.minor())
                || version.prerelease() != lowest.prerelease()
        }
        Written::Nothing | Written::All => version != lowest,
    }
}
