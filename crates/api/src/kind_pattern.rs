//! Which kinds a rule is for: a glob for the group and one for the kind, as `ignoreDifferences` and
//! `resource.customizations` write them.
//!
//! What comes in: the two globs as text. What goes out: whether a kind matches. No wildcard stops at a dot or slash.

use crate::glob::{Glob, Separator};

/// A glob for the group and one for the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindPattern {
    group: Glob,
    kind: Glob,
}

impl KindPattern {
    /// A pattern from its two globs; an empty group is the core group. The error says what is wrong with a glob.
    pub fn new(group: &str, kind: &str) -> Result<Self, String> {
        let glob = |text: &str| Glob::parse(text, Separator::None).ok_or_else(|| Glob::fault(text));
        Ok(Self { group: glob(group)?, kind: glob(kind)? })
    }

    /// Whether a kind is meant.
    pub fn matches(&self, group: &str, kind: &str) -> bool {
        self.kind.matches(kind) && self.group.matches(group)
    }

    /// Whether it means one kind alone.
    pub fn is_exact(&self) -> bool {
        [&self.group, &self.kind].into_iter().all(|glob| matches!(glob, Glob::Exactly(_)))
    }
}

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
        check(("apps", "Deployment{,s}"), ("apps", "Deployment"), true);
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
