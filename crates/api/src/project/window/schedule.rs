//! When a window is active: a cron expression, a duration and a time zone. Pure: the time comes in.
//!
//! In: texts as people write them. Out: whether a moment is inside, and when that changes. Every search is bounded: an
//! expression that names no day at all is refused when it is read.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime, civil};

use crate::duration::parse_duration;

/// Openings in a row, each before the last one ended, that are followed. Windows of longer chains are asked again.
const CHAIN: usize = 16;
/// The longest window that means anything; years are more than anybody plans.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);
/// Characters that an expression may have: lists of all minutes have fewer.
const LONGEST_EXPRESSION: usize = 512;

/// When a window is active.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    cron: Box<Cron>,
    zone: TimeZone,
    duration: SignedDuration,
    /// As it was written.
    text: Box<str>,
}

impl Schedule {
    /// Reads the three texts; an error says which of them is wrong.
    pub(super) fn parse(expression: &str, duration: &str, zone: &str) -> Result<Self, String> {
        let wrong = |reason: &dyn fmt::Display| format!("failed to read schedule {expression:?}: {reason}");
        if expression.len() > LONGEST_EXPRESSION {
            return Err(wrong(&"it is too long"));
        }
        if expression.split_whitespace().count() != 5 {
            return Err(wrong(&"it must have five fields: minute, hour, day of month, month, day of week"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| wrong(&error))?;
        let length = parse_duration(duration).map_err(|error| error.to_string())?.min(LONGEST);
        let length = SignedDuration::try_from(length).map_err(|error| error.to_string())?;
        let named = if zone.is_empty() { "UTC" } else { zone };
        let zone =
            TimeZone::get(named).map_err(|error| format!("failed to find timeZone {named:?}: {error}"))?;
        let text = format!("{expression} for {duration}, {named}").into();
        let schedule = Self { cron: Box::new(cron), zone, duration: length, text };
        match schedule.start_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(wrong(&"no day is ever like that")),
        }
    }

    /// Whether a moment is inside. Its first moment is, its last is not.
    pub(super) fn is_active(&self, now: Timestamp) -> bool {
        self.last_start(now).and_then(|start| self.end(start)).is_some_and(|end| now < end)
    }

    /// The next moment after `now` at which [`Self::is_active`] changes, or at which to ask again.
    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.is_active(now) {
            return self.start_after(now);
        }
        let mut start = self.last_start(now)?;
        for _ in 0..CHAIN {
            let end = self.end(start)?;
            match self.last_start(end) {
                Some(later) if later > start => start = later,
                _ => return Some(end),
            }
        }
        Some(start)
    }

    fn end(&self, start: Timestamp) -> Option<Timestamp> {
        start.checked_add(self.duration).ok()
    }

    fn last_start(&self, now: Timestamp) -> Option<Timestamp> {
        self.cron.find_previous_occurrence(&self.moment(now), true).ok().map(|moment| moment.0.timestamp())
    }

    fn start_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.cron.find_next_occurrence(&self.moment(now), false).ok().map(|moment| moment.0.timestamp())
    }

    /// In whole seconds: an expression knows no shorter ones.
    fn moment(&self, now: Timestamp) -> Moment {
        let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Moment(whole.to_zoned_datetime(self.zone.clone()))
    }
}

/// `0 8 * * 1-5 for 10h, Europe/Berlin`.
impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A time as croner walks through it; its own support is for another version of jiff.
#[derive(Clone)]
struct Moment(ZonedDateTime);

impl CronDateTime for Moment {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.0.datetime();
        let [month, day, hour, minute, second] = [at.month(), at.day(), at.hour(), at.minute(), at.second()]
            .map(|part| u32::from(part.unsigned_abs()));
        let civil = CivilDateTime::from_ymd_hms_opt(i32::from(at.year()), month, day, hour, minute, second);
        civil.expect("both count days and seconds alike")
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().to_sunday_zero_offset().unsigned_abs()))
    }

    fn resolve_civil(&self, at: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let year = i16::try_from(at.year()).map_err(|_| CronError::InvalidDate)?;
        let [month, day, hour, minute, second] = [at.month(), at.day(), at.hour(), at.minute(), at.second()]
            .map(|part| i8::try_from(part).unwrap_or(i8::MAX));
        let at = civil::DateTime::new(year, month, day, hour, minute, second, 0);
        let resolved =
            self.0.time_zone().to_ambiguous_zoned_datetime(at.map_err(|_| CronError::InvalidDate)?);
        let moment =
            |zoned: Result<ZonedDateTime, jiff::Error>| zoned.map(Moment).map_err(|_| CronError::InvalidTime);
        Ok(match resolved.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(moment(resolved.compatible())?),
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(moment(resolved.clone().earlier())?, moment(resolved.later())?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}
