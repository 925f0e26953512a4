//! Which events a webhook wants. Pure.
//!
//! In: words such as `SyncFinished` or `SyncFinished:Failed`. Out: yes or no for a record.

use crate::{record::Record, wording::NAMES};

/// Accepts what one of its patterns names; everything without patterns.
#[derive(Clone, Debug)]
pub(crate) struct Filter(Vec<Pattern>);

#[derive(Clone, Debug)]
struct Pattern {
    event: &'static str,
    /// A phase, a new state, a condition's type, …
    word: Option<String>,
}

/// A pattern that can never match.
#[derive(Debug, thiserror::Error)]
#[error("`on` has {pattern:?}, and there is no such event; known are {}", NAMES.join(", "))]
pub(crate) struct UnknownEvent {
    pattern: String,
}

impl Filter {
    pub(crate) fn parse(patterns: &[String]) -> Result<Self, UnknownEvent> {
        patterns.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn accepts(&self, record: &Record) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(record))
    }

    /// Whether some record of the same event may be accepted.
    pub(crate) fn may_accept(&self, event: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.event == event)
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, UnknownEvent> {
        let (event, word) = match text.split_once(':') {
            Some((event, word)) => (event.trim(), Some(word.trim().to_owned())),
            None => (text.trim(), None),
        };
        match NAMES.into_iter().find(|name| *name == event) {
            Some(event) => Ok(Self { event, word }),
            None => Err(UnknownEvent { pattern: text.to_owned() }),
        }
    }

    fn matches(&self, record: &Record) -> bool {
        self.event == record.event && self.word.as_ref().is_none_or(|word| *word == record.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::sample;

    fn accepted(patterns: &[&str]) -> Vec<&'static str> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let filter = Filter::parse(&patterns).expect("patterns");
        sample::records().iter().filter(|record| filter.accepts(record)).map(|record| record.event).collect()
    }

    #[test]
    fn no_pattern_accepts_everything() {
        assert_eq!(accepted(&[]), NAMES);
    }

    #[test]
    fn a_pattern_accepts_its_event_and_its_word() {
        assert_eq!(accepted(&["SyncFinished", "ApplicationDeleted"]), ["SyncFinished", "ApplicationDeleted"]);
        assert_eq!(
            accepted(&["SyncFinished:Failed", "HealthChanged: Degraded"]),
            ["SyncFinished", "HealthChanged"]
        );
        assert!(accepted(&["SyncFinished:Succeeded"]).is_empty());
        assert_eq!(accepted(&["ConditionChanged:ComparisonError"]), ["ConditionChanged"]);
    }

    #[test]
    fn an_event_that_does_not_exist_is_named_with_those_that_do() {
        let error = Filter::parse(&["SyncFinnished".to_owned()]).expect_err("no such event").to_string();
        assert!(
            error.contains("\"SyncFinnished\"") && error.contains("SyncFinished, DriftDetected"),
            "{error}"
        );
    }
}
