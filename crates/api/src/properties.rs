//! What holds for any text that somebody writes into a small language of ours: it is read or refused, nothing panics, and
//! what was written in a language comes out of it as it was.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use crate::{
    SyncOptions,
    duration::parse_duration,
    kind_pattern::KindPattern,
    sync_options::{self, Deletion, Place},
    sync_policy::Backoff,
    tracking::TrackingId,
};

/// Words in any order.
fn words(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(prop::sample::select(words), 0..12).prop_map(|words| words.concat())
}

/// Texts that are almost durations, durations, and anything.
fn duration() -> impl Strategy<Value = String> {
    let parts = words(&[
        "1",
        "90",
        "0",
        ".",
        "-",
        "+",
        "h",
        "m",
        "s",
        "ms",
        "us",
        "µs",
        "ns",
        "d",
        "e9",
        " ",
        "99999999999",
    ]);
    prop_oneof![parts, "[0-9]{1,22}(ns|us|ms|s|m|h)?", any::<String>()]
}

/// Texts that are almost options, options, and anything.
fn option() -> impl Strategy<Value = String> {
    let parts = words(&[
        "Prune", "Delete", "Replace", "=", "=", "true", "false", "confirm", " ", ",", "Validate", "\n",
    ]);
    prop_oneof![parts, any::<String>()]
}

/// The part of a name that a tracking id may hold anywhere.
const PART: &str = "[a-zA-Z0-9._-]{1,12}";

proptest! {
    #[test]
    fn any_duration_is_read_or_refused(text in duration()) {
        if let Ok(read) = parse_duration(&text) {
            prop_assert!(text.chars().any(|character| character.is_ascii_digit()), "{text:?} is {read:?}");
        }
    }

    #[test]
    fn go_s_own_durations_are_what_they_say(hours in 0..1000_u64, minutes in 0..60_u64, seconds in 0..60_u64) {
        let text = format!("{hours}h{minutes}m{seconds}s");
        prop_assert_eq!(parse_duration(&text), Ok(Duration::from_secs(hours * 3600 + minutes * 60 + seconds)));
    }

    #[test]
    fn no_wait_is_longer_than_the_longest(
        duration in duration(),
        longest in duration(),
        factor in prop::option::of(any::<i64>()),
        retries in any::<u32>(),
    ) {
        let backoff = Backoff { duration, factor, max_duration: longest.clone() };
        let longest = parse_duration(&longest).unwrap_or(Duration::from_secs(180));
        prop_assert!(backoff.delay(retries) <= longest);
    }

    #[test]
    fn any_list_of_options_is_read_and_at_most_each_is_told_of(options in vec(option(), 0..6)) {
        let read = SyncOptions::from_list(&options);
        let text = options.join(",");
        prop_assert_eq!(read.overlaid_with(&read), read);
        let annotation = SyncOptions::from_annotation(&text);
        for place in [Place::Application, Place::Object] {
            let told = sync_options::unsupported(text.split(','), place);
            prop_assert!(told.len() <= text.split(',').count());
        }
        let forbids = (annotation.prune(), annotation.get("Prune"));
        prop_assert_eq!(forbids.0 == Deletion::Forbidden, forbids.1 == Some("false"));
    }

    #[test]
    fn what_is_read_as_an_id_is_written_as_it_was(
        text in prop_oneof![words(&["web", ":", "/", "apps", "_", "-", "", "ü"]), any::<String>()],
    ) {
        if let Some(id) = TrackingId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    /// Names may hold colons, as those of Kubernetes' own roles do.
    #[test]
    fn what_is_written_as_an_id_is_read_as_it_was(
        (application, group, kind) in (PART, "[a-z.]{0,12}", PART),
        (namespace, name) in ("[a-z0-9-]{0,12}", "[a-z:0-9.-]{1,12}"),
    ) {
        let id = TrackingId { application, group, kind, namespace, name };
        prop_assert_eq!(TrackingId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn any_pattern_of_kinds_is_read_or_refused(
        group in prop_oneof![words(&["*", "?", "[", "]", "{", "}", ",", "!", "\\", "a", ".", "**", "-"]), any::<String>()],
        text in any::<String>(),
    ) {
        if let Ok(pattern) = KindPattern::new(&group, "*") {
            pattern.matches(&text, &text);
        }
    }

    #[test]
    fn a_plain_name_is_a_pattern_of_itself_alone(name in PART, other in PART) {
        let pattern = KindPattern::new(&name, &name).expect("no glob");
        prop_assert_eq!(pattern.matches(&other, &name), other == name);
    }
}
