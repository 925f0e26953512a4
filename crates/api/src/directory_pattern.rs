//! Which files of a plain folder count: `directory.include` and `directory.exclude`.
//!
//! In: a pattern, and paths as seen from the folder. Out: whether they match. No character is special to paths: `*`
//! crosses folders, and `**` is no more than `*`. Whoever walks the folder asks; nothing is walked here.

use crate::glob::{Glob, Separator};

/// A pattern, ready to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryPattern(Glob);

impl DirectoryPattern {
    /// Reads a pattern; None where it is empty.
    ///
    /// # Errors
    /// Where it is no pattern, in words.
    pub fn parse(pattern: &str) -> Result<Option<Self>, String> {
        if pattern.is_empty() {
            return Ok(None);
        }
        let glob = Glob::parse(&with_plain_carets(pattern), Separator::None);
        glob.map(|glob| Some(Self(glob))).ok_or_else(|| Glob::fault(pattern))
    }

    /// Whether the whole path matches.
    pub fn matches(&self, path: &str) -> bool {
        self.0.matches(path)
    }
}

/// The pattern with `^` at the start of a class escaped: here `!` alone turns a class around.
fn with_plain_carets(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        plain.push(character);
        match character {
            '\\' => plain.extend(characters.next()),
            '[' if characters.peek() == Some(&'^') => plain.push('\\'),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*.yaml", "a/b.yaml", true)]
    #[case("**/*.yaml", "b.yaml", false)]
    #[case("**/*.yaml", "a/b.yaml", true)]
    #[case("a?c.yaml", "a/c.yaml", true)]
    #[case("[!a]*.yaml", "a.yaml", false)]
    #[case("[!a]*.yaml", "b.yaml", true)]
    #[case("[^a]x.yaml", "ax.yaml", true)]
    #[case("[^a]x.yaml", "^x.yaml", true)]
    #[case("[^a]x.yaml", "bx.yaml", false)]
    #[case(r"\[^a]x.yaml", "[^a]x.yaml", true)]
    #[case("[a-c]x.yaml", "bx.yaml", true)]
    #[case(r"\*.yaml", "*.yaml", true)]
    #[case(r"\*.yaml", "a.yaml", false)]
    #[case("{a,b}.yaml", "b.yaml", true)]
    #[case("{a,b}.yaml", "c.yaml", false)]
    #[case("{a/{x,y},b}.yaml", "a/y.yaml", true)]
    #[case("x{,-y}.yaml", "x.yaml", true)]
    #[case("a.yaml", "aXyaml", false)]
    #[case("{*application.yaml,*application-set.yaml}", "a/b/my-application.yaml", true)]
    #[case("{*application.yaml,*application-set.yaml}", "x/y/team-application-set.yaml", true)]
    #[case("{*application.yaml,*application-set.yaml}", "applications.yaml", false)]
    #[case("{*application.yaml,*application-set.yaml}", "application.yml", false)]
    #[case("{*application.yaml,*application-set.yaml}", "application-set.yaml.bak", false)]
    fn patterns_know_no_folders(#[case] pattern: &str, #[case] path: &str, #[case] matches: bool) {
        let pattern = DirectoryPattern::parse(pattern).expect("valid").expect("not empty");
        assert_eq!(pattern.matches(path), matches);
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        assert_eq!(DirectoryPattern::parse(""), Ok(None));
        assert!(DirectoryPattern::parse("{a").expect_err("not closed").starts_with("\"{a\" is no pattern"));
    }
}
