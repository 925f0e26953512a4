//! Globs, as all of Argo CD's settings and resources write them: `*`, `**`, `?`, `[a-c]`, `[!a]`, `{a,b}` and `\`.
//!
//! In: a pattern, and whether `/` ends what `*` matches. Out: whether a text matches. A pattern that cannot be read is
//! an error of whoever parses it; nothing here guesses what it meant.
//!
//! | where | `*` stops at | a pattern that is none |
//! |---|---|---|
//! | groups and kinds (`ignoreDifferences`, `resource.customizations`): [`crate::KindPattern`] | nothing | is refused, with the reason |
//! | `resource.exclusions` and `resource.inclusions`: [`crate::Exclusions`] | nothing | is refused, with the reason |
//! | `sourceRepos` of a project | `/`, unless the pattern is `*` | allows nothing, denies everything |
//! | repositories in `sourceIntegrity` of a project | nothing | refuses every source |
//! | `application.namespaces`: [`crate::NamespacePatterns`] | nothing | is refused, with the reason |
//! | `include` and `exclude` of a plain folder: [`crate::DirectoryPattern`] | nothing, and `^` is a sign as any other | is refused, with the reason |
//! | all else in a project: destinations, kinds, namespaces, windows, orphans, accounts | nothing | allows nothing, denies everything |
//!
//! Value files and plugins' files have other rules; whoever walks them has them.

use std::fmt::Write;

use regex::{Regex, RegexBuilder};

/// Bytes that one pattern may take compiled: patterns are a user's input.
pub(crate) const SIZE_LIMIT: usize = 1 << 20;
/// How deep alternatives may be nested.
const DEEPEST: usize = 8;

/// What `*` and `?` stop at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separator {
    /// Nothing.
    None,
    /// `/`; `**` crosses it, and a pattern that is `*` alone is all.
    Slash,
}

/// A pattern, ready to match.
#[derive(Clone, Debug)]
pub(crate) enum Glob {
    /// Every text.
    Any,
    /// No text.
    Nothing,
    /// This text.
    Exactly(Box<str>),
    /// All texts of this form.
    Pattern(Box<Regex>),
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) | (Self::Nothing, Self::Nothing) => true,
            (Self::Exactly(one), Self::Exactly(other)) => one == other,
            (Self::Pattern(one), Self::Pattern(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for Glob {}

impl Glob {
    /// Reads a pattern; None where it is none.
    pub(crate) fn parse(pattern: &str, separator: Separator) -> Option<Self> {
        if pattern == "*" {
            return Some(Self::Any);
        }
        if !pattern.contains(['*', '?', '[', ']', '{', '}', '\\']) {
            return Some(Self::Exactly(pattern.into()));
        }
        let expression = expression(pattern, separator)?;
        let regex = RegexBuilder::new(&expression).size_limit(SIZE_LIMIT).build().ok()?;
        Some(Self::Pattern(Box::new(regex)))
    }

    /// What to tell of a pattern that is none.
    pub(crate) fn fault(pattern: &str) -> String {
        format!(
            "{pattern:?} is no pattern: close each bracket and brace, and write \\\\ before a sign that means itself"
        )
    }

    /// Whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Nothing => false,
            Self::Exactly(known) => **known == *text,
            Self::Pattern(regex) => regex.is_match(text),
        }
    }
}

/// The regular expression that says the same.
fn expression(pattern: &str, separator: Separator) -> Option<String> {
    let one = if separator == Separator::Slash { "[^/]" } else { "." };
    let (mut expression, mut depth) = (r"\A(?s:".to_owned(), 0_usize);
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => expression.push_str(".*"),
            '*' => write!(expression, "{one}*").ok()?,
            '?' => expression.push_str(one),
            '\\' => push_literal(&mut expression, rest.next()?),
            '[' => push_class(&mut expression, &mut rest)?,
            '{' if depth < DEEPEST => {
                depth += 1;
                expression.push_str("(?:");
            }
            '}' => {
                depth = depth.checked_sub(1)?;
                expression.push(')');
            }
            ',' if depth > 0 => expression.push('|'),
            '{' => return None,
            other => push_literal(&mut expression, other),
        }
    }
    expression.push_str(r")\z");
    (depth == 0).then_some(expression)
}

fn push_literal(expression: &mut String, character: char) {
    expression.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
}

/// `[abc]`, `[a-z]` and `[!a]`.
fn push_class(expression: &mut String, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    expression.push('[');
    if rest.next_if(|next| matches!(next, '!' | '^')).is_some() {
        expression.push('^');
    }
    let mut empty = true;
    loop {
        match rest.next()? {
            ']' if !empty => break,
            '-' if !empty && rest.peek().is_some_and(|next| *next != ']') => expression.push('-'),
            '\\' => push_literal_of_class(expression, rest.next()?),
            other => push_literal_of_class(expression, other),
        }
        empty = false;
    }
    expression.push(']');
    Some(())
}

fn push_literal_of_class(expression: &mut String, character: char) {
    if !character.is_alphanumeric() && character.is_ascii_punctuation() {
        expression.push('\\');
    }
    expression.push(character);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one_segment("https://git.example.org/*/app", "https://git.example.org/team/app", true)]
    #[case::no_further("https://git.example.org/*", "https://git.example.org/team/app", false)]
    #[case::all_below("https://git.example.org/**", "https://git.example.org/team/app", true)]
    #[case::all("*", "https://git.example.org/team/app", true)]
    #[case::dots_are_dots("git.example.org", "gitxexample.org", false)]
    #[case::dots_in_patterns("git.example.*", "gitxexample.org", false)]
    #[case::one_character("app-?", "app-1", true)]
    #[case::one_character_only("app-?", "app-12", false)]
    #[case::no_separator("app?a", "app/a", false)]
    #[case::class("app-[a-c]", "app-b", true)]
    #[case::denied_class("app-[!a-c]", "app-b", false)]
    #[case::alternatives("{shop,bank}-*", "bank-1", true)]
    #[case::no_alternative("{shop,bank}-*", "home-1", false)]
    #[case::escaped(r"a\*", "a*", true)]
    #[case::escaped_is_no_star(r"a\*", "ab", false)]
    #[case::comma_outside("a,b*", "a,bc", true)]
    fn a_slash_separates(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        let glob = Glob::parse(pattern, Separator::Slash).expect("a pattern");
        assert_eq!(glob.matches(text), expected);
    }

    #[test]
    fn without_a_separator_a_star_crosses_everything() {
        let glob = Glob::parse("https://*.example.org*", Separator::None).expect("a pattern");
        assert!(glob.matches("https://a/b.example.org:6443/x"));
    }

    #[test]
    fn what_is_no_pattern_is_not_guessed_at() {
        for pattern in ["[a", "{a", "a}", r"a\", "[", "[]", &"{".repeat(20)] {
            assert!(Glob::parse(pattern, Separator::Slash).is_none(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_is_read_or_refused(pattern in r"[a-c*?\[\]{}!^,\\/&~|.-]{0,24}", text in ".{0,40}") {
            if let Some(glob) = Glob::parse(&pattern, Separator::Slash) {
                glob.matches(&text);
            }
        }

        #[test]
        fn an_escaped_text_matches_itself(text in ".{1,24}") {
            let pattern: String = text.chars().flat_map(|character| ['\\', character]).collect();
            let glob = Glob::parse(&pattern, Separator::Slash).expect("a pattern");
            prop_assert!(glob.matches(&text));
        }
    }
}
