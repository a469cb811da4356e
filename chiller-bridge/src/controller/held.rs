//! Temperatures that are unknown for a moment: what the unit told last counts for a while, so that a
//! reading that it refuses switches nothing on or off at once. Pure.

use std::time::Duration;

use bus::clock::Instant;

use super::rules::Observed;

/// The last value of a reading, and when it was last known.
type Last = Option<(f64, Instant)>;

/// See the module.
#[derive(Debug)]
pub(super) struct Held {
    ambient: Last,
    water: Last,
    set_point: Last,
    /// When a temperature that tells of frost was last known.
    known_at: Instant,
}

/// Whether one of the temperatures is known that tell of frost by themselves.
fn is_known(observed: &Observed) -> bool {
    let standing = observed.water.filter(|_| observed.pump_on == Some(false));
    observed.dome.or(observed.ambient).or(standing).is_some()
}

impl Held {
    /// Nothing is known yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { ambient: None, water: None, set_point: None, known_at: now }
    }

    /// The observations with the readings that count although the unit does not tell them now.
    pub(super) fn take(&mut self, observed: &Observed, hold: Duration, now: Instant) -> Observed {
        // While the link is new, its first readings are awaited anyway.
        if is_known(observed) || !observed.unit_read {
            self.known_at = now;
        }
        let keep = |last: &mut Last, read: Option<f64>| {
            if let Some(value) = read {
                *last = Some((value, now));
            }
            read.or(last
                .filter(|(_, at)| observed.unit_read && now.since(*at) < hold)
                .map(|(value, _)| value))
        };
        Observed {
            ambient: keep(&mut self.ambient, observed.ambient),
            water: keep(&mut self.water, observed.water),
            set_point: keep(&mut self.set_point, observed.set_point),
            ..*observed
        }
    }

    /// Until when a temperature may still come, if none is known or `held`.
    pub(super) fn unknown_until(&self, held: &Observed, hold: Duration, now: Instant) -> Option<Instant> {
        Some(self.known_at + hold).filter(|until| !is_known(held) && now < *until)
    }

    /// When something no longer counts.
    pub(super) fn poll_timeout(
        &self,
        observed: &Observed,
        held: &Observed,
        hold: Duration,
        now: Instant,
    ) -> Option<Instant> {
        let readings = [
            (self.ambient, observed.ambient),
            (self.water, observed.water),
            (self.set_point, observed.set_point),
        ];
        let old = readings.into_iter().filter(|(_, read)| read.is_none()).filter_map(|(last, _)| last);
        let ends = old.map(|(_, at)| at + hold).filter(|end| *end > now);
        ends.chain(self.unknown_until(held, hold, now)).min()
    }
}
