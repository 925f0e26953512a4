//! Durations as Go writes them (`90s`, `1h30m`, `1.5m`), a whole number of days (`2d`), which Argo CD's settings take as
//! well, or a bare whole number of seconds, to [`Duration`].

use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::SpanParser;

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {text:?} as a duration such as 90s, 5m, 1h30m or 2d")]
pub struct DurationError {
    text: String,
}

const DAY: u64 = 86_400;

/// Reads a Go duration, or a bare number of days or seconds. Negative ones are refused.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let refused = || DurationError { text: text.to_owned() };
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    if let Some(days) = trimmed.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()) {
        return days.checked_mul(DAY).map(Duration::from_secs).ok_or_else(refused);
    }
    // The parser takes words, commas and spaces too, which Go does not.
    if trimmed.contains([' ', ',', ':']) {
        return Err(refused());
    }
    let signed: SignedDuration = SpanParser::new().parse_duration(trimmed).map_err(|_| refused())?;
    Duration::try_from(signed).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_and_bare_seconds_are_read() {
        for (text, millis) in [
            ("5", 5_000),
            ("0", 0),
            ("0s", 0),
            ("300ms", 300),
            ("1.5s", 1_500),
            ("3m0s", 180_000),
            ("1h30m", 5_400_000),
            ("2h45m10s", 9_910_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "soon", "-5s", "1h 30m", "5 s", "s", "1.5", "d", "1d2h", "1.5d", "-1d", "99999999999999999d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
