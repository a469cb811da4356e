//! Which time of a record is shown when. Pure.

use std::time::Duration;

use bus::clock::{Instant, Utc};

/// The times of a record beside the clock of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    began: Instant,
    first: Utc,
    speed: f64,
}

impl Timeline {
    /// Shows `first` at `began`, and from then on `speed` seconds in each second.
    pub(crate) fn new(began: Instant, first: Utc, speed: f64) -> Self {
        Self { began, first, speed }
    }

    /// How long `date` is still to come at `now`.
    pub(crate) fn until(&self, date: Utc, now: Instant) -> Duration {
        let after = (date.seconds_since(self.first) / self.speed).max(0.0);
        let due = Duration::try_from_secs_f64(after).unwrap_or(Duration::MAX);
        due.saturating_sub(now.since(self.began))
    }

    /// The time that is shown at `now`, but none beyond `next`.
    pub(crate) fn shown(&self, now: Instant, next: Utc) -> Utc {
        let after = Duration::try_from_secs_f64(now.since(self.began).as_secs_f64() * self.speed);
        self.first.after(after.unwrap_or(Duration::MAX)).min(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_as_fast_takes_a_tenth_and_shows_nothing_beyond_what_was_published() {
        let date = |text: &str| Utc::parse(&format!("2026-11-30T03:{text}Z")).unwrap();
        let at = |seconds| Instant::from_boot(Duration::from_secs(seconds));
        let timeline = Timeline::new(at(100), date("00:00"), 10.0);
        assert_eq!(timeline.until(date("01:00"), at(100)), Duration::from_secs(6));
        assert_eq!(timeline.until(date("01:00"), at(104)), Duration::from_secs(2));
        assert_eq!(timeline.until(date("01:00"), at(110)), Duration::ZERO);
        assert_eq!(timeline.shown(at(103), date("01:00")), date("00:30"));
        assert_eq!(timeline.shown(at(110), date("01:00")), date("01:00"));
    }
}
