//! Which kinds a rule is for: a glob for the group and one for the kind, as `ignoreDifferences` and
//! `resource.customizations` write them.
//!
//! What comes in: the two globs as text. What goes out: whether a kind matches. No wildcard stops at a dot or slash.

use globset::{GlobBuilder, GlobMatcher};

/// A glob for the group and one for the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindPattern {
    group: Pattern,
    kind: Pattern,
}

impl KindPattern {
    /// A pattern from its two globs; an empty group is the core group. The error says what is wrong with a glob.
    pub fn new(group: &str, kind: &str) -> Result<Self, String> {
        Ok(Self { group: Pattern::new(group)?, kind: Pattern::new(kind)? })
    }

    /// Whether a kind is meant.
    pub fn matches(&self, group: &str, kind: &str) -> bool {
        self.kind.matches(kind) && self.group.matches(group)
    }

    /// Whether it means one kind alone.
    pub fn is_exact(&self) -> bool {
        [&self.group, &self.kind].into_iter().all(|pattern| matches!(pattern, Pattern::Exact(_)))
    }
}

/// One glob. Most are no globs at all, and those cost no more than their text.
#[derive(Clone, Debug)]
enum Pattern {
    Any,
    Exact(Box<str>),
    Glob(Box<GlobMatcher>),
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if !text.contains(['*', '?', '[', '{', '\\']) {
            return Ok(Self::Exact(text.into()));
        }
        let glob = GlobBuilder::new(text).literal_separator(false).backslash_escape(true).build();
        glob.map(|glob| Self::Glob(Box::new(glob.compile_matcher()))).map_err(|error| error.to_string())
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *text,
            Self::Glob(glob) => glob.is_match(text),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Glob(one), Self::Glob(other)) => one.glob() == other.glob(),
            _ => false,
        }
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: (&str, &str), kind: (&str, &str), expected: bool) {
        let pattern = KindPattern::new(pattern.0, pattern.1).expect("globs");
        assert_eq!(pattern.matches(kind.0, kind.1), expected, "{pattern:?} {kind:?}");
    }

    #[test]
    fn globs_match_groups_and_kinds() {
        check(("apps", "Deployment"), ("apps", "Deployment"), true);
        check(("apps", "Deployment"), ("apps", "DaemonSet"), false);
        check(("", "ConfigMap"), ("", "ConfigMap"), true);
        check(("", "*"), ("apps", "Deployment"), false);
        check(("*", "*"), ("", "Secret"), true);
        check(("*.crossplane.io", "*"), ("s3.aws.crossplane.io", "Bucket"), true);
        check(("*.crossplane.io", "*"), ("crossplane.io", "Bucket"), false);
        check(("apps", "{Deployment,StatefulSet}"), ("apps", "StatefulSet"), true);
        check(("apps", "D[!a]*"), ("apps", "DaemonSet"), false);
        check(("apps", "?eployment"), ("apps", "Deployment"), true);
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        assert!(KindPattern::new("apps", "{Deployment").is_err());
        assert!(KindPattern::new("[", "Deployment").is_err());
    }

    #[test]
    fn only_plain_names_are_exact() {
        let is_exact = |group, kind| KindPattern::new(group, kind).map(|pattern| pattern.is_exact());
        assert_eq!(is_exact("", "Pod"), Ok(true));
        assert_eq!(is_exact("*", "Pod"), Ok(false));
        assert_eq!(is_exact("apps", "D*"), Ok(false));
    }
}
