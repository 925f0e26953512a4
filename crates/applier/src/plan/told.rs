//! How much of many things people are told: the first, and how many more there are.
//!
//! What comes in: reasons, or names of objects. What goes out: one line, so that a status stays within its limits.

use std::fmt::Display;

/// Objects and reasons that are told of: people read the first few.
pub(super) const MOST: usize = 20;

/// Objects that a line names which is about something else.
pub(super) const FEW: usize = 5;

/// The first reasons in one line; None where there is none.
pub(super) fn listed(reasons: impl IntoIterator<Item = String>) -> Option<String> {
    let mut reasons = reasons.into_iter();
    let mut told: Vec<String> = reasons.by_ref().take(MOST).collect();
    if told.is_empty() {
        return None;
    }
    let more = reasons.count();
    told.extend((more > 0).then(|| format!("and {more} more")));
    Some(told.join("; "))
}

/// The first `most` of many objects.
pub(super) fn named(objects: &[impl Display], most: usize) -> String {
    let mut names: Vec<String> = objects.iter().take(most).map(ToString::to_string).collect();
    let more = objects.len().saturating_sub(most);
    names.extend((more > 0).then(|| format!("{more} more")));
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectKey;

    #[test]
    fn a_few_are_told_whole_and_of_many_the_first_and_their_number() {
        let reasons = |count: usize| (0..count).map(|number| number.to_string());
        assert_eq!(listed(reasons(0)), None);
        assert_eq!(listed(reasons(2)).as_deref(), Some("0; 1"));
        let many = listed(reasons(MOST + 3)).unwrap_or_default();
        assert!(many.starts_with("0; 1; ") && many.ends_with("19; and 3 more"), "{many}");
        let keys: Vec<_> = (0..7).map(|n| ObjectKey::new("", "Pod", "a", &n.to_string())).collect();
        let named = named(&keys.iter().collect::<Vec<_>>(), 5);
        assert!(named.ends_with(", 2 more") && named.matches(", ").count() == 5, "{named}");
    }
}
