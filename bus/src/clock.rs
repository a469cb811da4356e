//! The two clocks: [`Instant`] for durations, [`Utc`] for dates people read, [`Now`] for both.
//!
//! The code that decides takes a [`Now`] as an argument, so that a simulated winter costs a test
//! milliseconds. Only the IO shell may call [`Now::read`] (clippy's `disallowed-methods` enforces
//! this).

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point on the clock that runs through a suspend (Linux `CLOCK_BOOTTIME`).
///
/// `std::time::Instant` stops while the machine sleeps, but data received before a sleep must look
/// old after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The instant `since_boot` after the machine started; tests count from here.
    #[must_use]
    pub const fn from_boot(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Time since `earlier`, zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

/// Why a text is not a date.
#[derive(Debug, thiserror::Error)]
pub enum DateError {
    /// It is not RFC 3339.
    #[error("not a date (RFC 3339 is wanted): {0}")]
    Text(#[source] jiff::Error),
    /// It is outside the calendar.
    #[error("a date beyond the calendar")]
    Range,
}

/// A date: UTC, milliseconds. Written as `2026-11-20T10:32:00.000Z`; read as RFC 3339 with any
/// offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(jiff::Timestamp);

impl Utc {
    /// The date `milliseconds` after 1970, if it is within the years -9999 to 9999.
    #[must_use]
    pub fn from_unix_milliseconds(milliseconds: i64) -> Option<Self> {
        jiff::Timestamp::from_millisecond(milliseconds).ok().map(Self)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_milliseconds(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Reads RFC 3339, with any offset.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, DateError> {
        let timestamp: jiff::Timestamp = text.parse().map_err(DateError::Text)?;
        Self::from_unix_milliseconds(timestamp.as_millisecond()).ok_or(DateError::Range)
    }

    /// Seconds from `earlier` to this date; negative if this one is the earlier.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any sane age fit a double exactly")]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.unix_milliseconds() - earlier.unix_milliseconds()) as f64 / 1000.0
    }

    /// The date `duration` later, or the last representable one.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        self.shifted(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    /// The date `milliseconds` later, earlier if they are negative; the first or the last
    /// representable one if that lies beyond the calendar.
    #[must_use]
    pub fn shifted(self, milliseconds: i64) -> Self {
        let end = if milliseconds < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        let wanted = self.unix_milliseconds().saturating_add(milliseconds);
        // The library's last whole second; it accepts no milliseconds beyond that.
        Self::from_unix_milliseconds(wanted)
            .or_else(|| Self::from_unix_milliseconds(end.as_second() * 1000))
            .unwrap_or(self)
    }

    /// The date as written in texts for people: `2026-11-30 03:12 UTC`.
    #[must_use]
    pub fn in_words(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl fmt::Debug for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Utc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Utc {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "RFC 3339, UTC, milliseconds",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"
        })
    }
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For durations and deadlines.
    pub instant: Instant,
    /// For what is published.
    pub utc: Utc,
}

impl Now {
    /// Reads the machine's clocks. Only for the IO shell.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the date")]
    pub fn read() -> Self {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let since_boot =
            Duration::new(u64::try_from(boot.tv_sec).unwrap_or(0), u32::try_from(boot.tv_nsec).unwrap_or(0));
        let milliseconds = jiff::Timestamp::now().as_millisecond();
        Self {
            instant: Instant::from_boot(since_boot),
            utc: Utc::from_unix_milliseconds(milliseconds).unwrap_or(Utc(jiff::Timestamp::UNIX_EPOCH)),
        }
    }

    /// By how many milliseconds the wall clock was set forward since `earlier` (negative: back),
    /// relative to the steady clock.
    #[must_use]
    pub fn stepped_since(self, earlier: Self) -> i64 {
        let steady = i64::try_from(self.instant.since(earlier.instant).as_millis()).unwrap_or(i64::MAX);
        let by_date = self.utc.unix_milliseconds() - earlier.utc.unix_milliseconds();
        by_date.saturating_sub(steady)
    }

    /// This moment and date, `duration` later. Tests use it to let time pass.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self { instant: self.instant + duration, utc: self.utc.after(duration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_with_milliseconds_and_z() {
        let date = Utc::from_unix_milliseconds(1_700_000_000_000).unwrap();
        assert_eq!(date.to_string(), "2023-11-14T22:13:20.000Z");
        assert_eq!(serde_json::to_string(&date).unwrap(), "\"2023-11-14T22:13:20.000Z\"");
    }

    #[test]
    fn a_date_with_an_offset_is_the_same_moment() {
        let parse = |text| Utc::parse(text).unwrap();
        assert_eq!(parse("2023-11-14T23:13:20+01:00"), parse("2023-11-14T22:13:20Z"));
        assert!(Utc::parse("yesterday").is_err());
    }

    #[test]
    fn beyond_the_calendar_stands_its_end() {
        let date = Utc::parse("2026-11-20T10:32:00Z").unwrap();
        assert_eq!(date.after(Duration::MAX).to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(date.after(Duration::MAX).after(Duration::from_secs(1)), date.after(Duration::MAX));
        assert_eq!(date.shifted(i64::MIN), date.shifted(-1).shifted(i64::MIN));
        assert!(date.shifted(i64::MIN) < Utc::parse("-009999-06-01T00:00:00Z").unwrap());
        assert_eq!(date.shifted(-1000).to_string(), "2026-11-20T10:31:59.000Z");
    }

    #[test]
    fn a_date_in_a_text_names_its_zone() {
        assert_eq!(Utc::parse("2026-11-30T03:12:59.999Z").unwrap().in_words(), "2026-11-30 03:12 UTC");
        assert_eq!(Utc::parse("2026-11-30T03:12:59+01:00").unwrap().in_words(), "2026-11-30 02:12 UTC");
    }

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_runs() {
        let date = Utc::parse("2026-11-20T10:32:00Z").unwrap();
        let now = Now { instant: Instant::from_boot(Duration::from_secs(5)), utc: date };
        let later = now.after(Duration::from_secs(60));
        assert_eq!(later.stepped_since(now), 0);
        let set = Now { utc: later.utc.shifted(-1_200_000), ..later };
        assert_eq!(set.stepped_since(now), -1_200_000);
        assert_eq!(set.after(Duration::from_secs(9)).stepped_since(later), -1_200_000);
    }

    #[test]
    fn an_earlier_instant_is_never_negative() {
        let early = Instant::from_boot(Duration::from_secs(1));
        let late = early + Duration::from_secs(2);
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
