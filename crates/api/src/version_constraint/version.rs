//! A version as people tag it: `v1.2.3`, `1.2`, `1.2.3-rc.1+build`; and one with parts left open, as constraints
//! have them: `1.x`, `1.2.*`, `*`.

use semver::{BuildMetadata, Prerelease};

/// The longest version that is read, in bytes.
const LONGEST: usize = 256;

/// A version. What follows a `+` does not count: two that differ only there are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(semver::Version);

/// How much of a version is written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// `*`.
    Nothing,
    /// `1`, `1.x`.
    Major,
    /// `1.2`, `1.2.x`.
    Minor,
    /// `1.2.3`.
    All,
}

/// The lowest version that begins so, and how it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) lowest: Version,
    pub(super) written: Written,
}

impl Version {
    /// Reads a version; what it leaves out is zero. A `v` may stand before it, and zeros before its numbers.
    pub fn parse(text: &str) -> Option<Self> {
        let (numbers, prerelease) = read(text)?;
        let mut values = [0; 3];
        for (value, number) in values.iter_mut().zip(numbers) {
            *value = match number {
                Number::Is(number) => number,
                Number::Absent => 0,
                Number::Open => return None,
            };
        }
        Some(Self::new(values, prerelease))
    }

    /// Whether it is a pre-release.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    pub(super) fn major(&self) -> u64 {
        self.0.major
    }

    pub(super) fn minor(&self) -> u64 {
        self.0.minor
    }

    pub(super) fn patch(&self) -> u64 {
        self.0.patch
    }

    pub(super) fn prerelease(&self) -> &Prerelease {
        &self.0.pre
    }

    fn new([major, minor, patch]: [u64; 3], pre: Prerelease) -> Self {
        Self(semver::Version { major, minor, patch, pre, build: BuildMetadata::EMPTY })
    }
}

impl Partial {
    /// Reads a version whose later parts may be left out or be `x`, `X` or `*`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (numbers, prerelease) = read(text)?;
        let (values, written) = match numbers {
            [Number::Is(major), Number::Is(minor), Number::Is(patch)] => {
                ([major, minor, patch], Written::All)
            }
            [Number::Is(major), Number::Is(minor), _] => ([major, minor, 0], Written::Minor),
            [Number::Is(major), ..] => ([major, 0, 0], Written::Major),
            _ => ([0; 3], Written::Nothing),
        };
        Some(Self { lowest: Version::new(values, prerelease), written })
    }
}

/// One of a version's numbers.
#[derive(Clone, Copy)]
enum Number {
    Is(u64),
    Open,
    Absent,
}

/// The numbers and the pre-release.
fn read(text: &str) -> Option<([Number; 3], Prerelease)> {
    if text.len() > LONGEST {
        return None;
    }
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    if build.is_some_and(|build| build.is_empty() || BuildMetadata::new(build).is_err()) {
        return None;
    }
    let (text, prerelease) = match text.split_once('-') {
        Some((text, prerelease)) if !prerelease.is_empty() => (text, Prerelease::new(prerelease).ok()?),
        Some(_) => return None,
        None => (text, Prerelease::EMPTY),
    };
    let mut numbers = [Number::Absent; 3];
    for (index, part) in text.split('.').enumerate() {
        *numbers.get_mut(index)? = match part {
            "x" | "X" | "*" => Number::Open,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Number::Is(digits.parse().ok()?),
            _ => return None,
        };
    }
    Some((numbers, prerelease))
}
