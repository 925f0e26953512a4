//! In which namespaces Applications may live beside the control plane's: Argo CD's `application.namespaces`, and
//! `sourceNamespaces` of a project. Both have to name a namespace.
//!
//! In: patterns, each a glob or, between slashes, a regular expression. Out: whether a namespace is among them. Who may
//! write Applications there is not asked here: that is the cluster's RBAC.

use std::str::FromStr;

use kube::core::ObjectMeta;
use regex::{Regex, RegexBuilder};

use crate::glob::{Glob, SIZE_LIMIT, Separator};

/// Patterns of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespacePatterns(Vec<Pattern>);

#[derive(Clone, Debug)]
enum Pattern {
    Glob(Glob),
    Expression(Regex),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Glob(one), Self::Glob(other)) => one == other,
            (Self::Expression(one), Self::Expression(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for Pattern {}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let expression = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let Some(expression) = expression else {
            return Glob::parse(text, Separator::None).map(Self::Glob).ok_or_else(|| Glob::fault(text));
        };
        let regex = RegexBuilder::new(expression).size_limit(SIZE_LIMIT).build();
        regex.map(Self::Expression).map_err(|error| format!("{text:?} is no regular expression: {error}"))
    }

    fn matches(&self, namespace: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(namespace),
            Self::Expression(expression) => expression.is_match(namespace),
        }
    }
}

impl NamespacePatterns {
    /// Reads a list of which each text is a pattern. One that is none matches nothing.
    pub fn of(texts: &[String]) -> Self {
        Self(texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect())
    }

    /// Whether a namespace is among them.
    pub fn matches(&self, namespace: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(namespace))
    }
}

/// Reads patterns with commas between them, as `application.namespaces` has them.
impl FromStr for NamespacePatterns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        texts.map(Pattern::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// Where an installation's Applications live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationNamespaces {
    control_plane: String,
    others: NamespacePatterns,
}

impl ApplicationNamespaces {
    /// In the control plane's namespace, and in those that the patterns name.
    pub fn new(control_plane: &str, others: NamespacePatterns) -> Self {
        Self { control_plane: control_plane.to_owned(), others }
    }

    /// The only namespace in which there may be any; None where it takes a look at all.
    pub fn only(&self) -> Option<&str> {
        self.others.0.is_empty().then_some(&*self.control_plane)
    }

    /// The namespace of the control plane.
    pub fn control_plane(&self) -> &str {
        &self.control_plane
    }

    /// Whether the Application of this metadata is the installation's.
    pub fn includes(&self, metadata: &ObjectMeta) -> bool {
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        namespace == self.control_plane || self.others.matches(namespace)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("", "team", false)]
    #[case::control_plane("", "argocd", true)]
    #[case::exact("team,shop", "shop", true)]
    #[case::spaces(" team , shop ", "shop", true)]
    #[case::other("team,shop", "team-a", false)]
    #[case::glob("team-*", "team-a", true)]
    #[case::all("*", "anything", true)]
    #[case::expression("/^team-[a-z]+$/", "team-a", true)]
    #[case::expression_not("/^team-[a-z]+$/", "team-1", false)]
    fn includes(#[case] text: &str, #[case] namespace: &str, #[case] expected: bool) {
        let others = text.parse().expect("patterns");
        let metadata = ObjectMeta { namespace: Some(namespace.to_owned()), ..Default::default() };
        assert_eq!(ApplicationNamespaces::new("argocd", others).includes(&metadata), expected);
    }

    #[test]
    fn without_patterns_there_is_one_namespace_to_look_into() {
        let namespaces = |text: &str| ApplicationNamespaces::new("argocd", text.parse().expect("patterns"));
        assert_eq!(namespaces(" , ").only(), Some("argocd"));
        assert_eq!(namespaces("team").only(), None);
    }

    #[rstest]
    #[case::brace("team-{a", "team-{a")]
    #[case::expression("shop,/team-(/", "/team-(/")]
    fn a_pattern_that_is_none_is_told(#[case] text: &str, #[case] named: &str) {
        let reason = text.parse::<NamespacePatterns>().expect_err("no patterns");
        assert!(reason.contains(named), "{reason}");
    }

    #[test]
    fn of_a_project_a_pattern_that_is_none_matches_nothing() {
        let patterns = NamespacePatterns::of(&["/team-(/".to_owned(), "shop".to_owned()]);
        assert!(patterns.matches("shop") && !patterns.matches("team-a") && !patterns.matches("/team-(/"));
    }
}
