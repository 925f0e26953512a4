//! Names that a user may have meant. Pure.

/// How many are worth naming.
const SHOWN: usize = 3;
/// How alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.6;

/// The known names most like the given one, the nearest first.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|candidate| (likeness(name, candidate), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.into_iter().take(SHOWN).map(|(_, candidate)| candidate).collect()
}

fn likeness(name: &str, candidate: &str) -> f64 {
    let spelling = strsim::normalized_damerau_levenshtein(name, candidate);
    let is_part = name.len() > 2 && (candidate.contains(name) || name.contains(candidate));
    if is_part { spelling.max(ALIKE) } else { spelling }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_and_partial_names_find_what_was_meant() {
        let known = ["guestbook", "guestbook-staging", "prometheus", "web"];
        assert_eq!(near("gusetbook", known), ["guestbook"]);
        assert_eq!(near("guest", known), ["guestbook", "guestbook-staging"]);
        assert_eq!(near("wbe", known), ["web"]);
        assert!(near("cert-manager", known).is_empty());
    }
}
