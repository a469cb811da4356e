//! A time in a record as people write it: a date, or a time of the day. Pure.

use std::str::FromStr;
use std::time::Duration;

use bus::clock::Utc;

/// A time in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A date.
    Date(Utc),
    /// Seconds after midnight, UTC: the first such time in the record.
    Clock(u32),
}

const DAY: i64 = 86_400_000;

impl When {
    /// The date that is meant in a record that begins at `start`.
    #[must_use]
    pub fn in_record(self, start: Utc) -> Utc {
        match self {
            Self::Date(date) => date,
            Self::Clock(seconds) => {
                let midnight = start.unix_milliseconds() - start.unix_milliseconds().rem_euclid(DAY);
                let today = Utc::from_unix_milliseconds(midnight).unwrap_or(start);
                let date = today.after(Duration::from_secs(seconds.into()));
                if date < start { date.shifted(DAY) } else { date }
            }
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(seconds) = seconds(text) {
            return Ok(Self::Clock(seconds));
        }
        let expected = "expected a time (UTC) such as 03:12, 03:12:30 or 2026-11-30T03:12:00Z";
        Utc::parse(text).map(Self::Date).map_err(|_| expected.to_owned())
    }
}

/// `HH:MM` or `HH:MM:SS`.
fn seconds(text: &str) -> Option<u32> {
    let parts: Option<Vec<u32>> = text
        .split(':')
        .map(|part| part.parse().ok().filter(|_| part.len() == 2 && !part.starts_with('+')))
        .collect();
    match parts?.as_slice() {
        [hours @ 0..24, minutes @ 0..60] => Some(hours * 3600 + minutes * 60),
        [hours @ 0..24, minutes @ 0..60, seconds @ 0..60] => Some(hours * 3600 + minutes * 60 + seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_is_the_first_one_in_the_record() {
        let date = |text| Utc::parse(text).unwrap();
        let start = date("2026-11-29T18:00:00Z");
        for (text, expected) in [
            ("18:00", "2026-11-29T18:00:00Z"),
            ("03:12", "2026-11-30T03:12:00Z"),
            ("17:59:59", "2026-11-30T17:59:59Z"),
            ("2026-11-30T03:12:00+01:00", "2026-11-30T02:12:00Z"),
        ] {
            assert_eq!(text.parse::<When>().unwrap().in_record(start), date(expected), "{text}");
        }
        for text in ["", "3:12", "24:00", "03:60", "03", "+3:12", "yesterday", "03:12:00:00"] {
            assert!(text.parse::<When>().unwrap_err().contains("expected a time"), "{text}");
        }
    }
}
