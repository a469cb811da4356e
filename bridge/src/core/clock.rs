//! The machine's clock: a change is published, and it is doubted when clients disagree with it.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::device::every_bridge as concern;
use bus::message::{Code, EventBody, EventKind, Reply, Severity};
use bus::topic::Identity;

use super::Core;
use crate::controller::{Condition, Controller, Protocol};

/// Smaller steps come from NTP slewing, and from reading two clocks one after the other.
const STEP_MS: u64 = 1000;
/// How often to report a clock that is set continually.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// How long a disagreement counts.
const DOUBTED_FOR: Duration = Duration::from_secs(600);
/// How many clients must disagree: if only one does, its own clock is wrong.
const DOUBTERS: usize = 2;

/// Detects steps of the wall clock.
#[derive(Debug)]
pub(super) struct Steps {
    last: Now,
    told: Option<Instant>,
    untold: u64,
}

impl Steps {
    pub(super) fn new(now: Now) -> Self {
        Self { last: now, told: None, untold: 0 }
    }

    /// By how many milliseconds the date was set since the last time.
    fn look(&mut self, now: Now) -> Option<i64> {
        let step = now.stepped_since(std::mem::replace(&mut self.last, now));
        (step.unsigned_abs() > STEP_MS).then_some(step)
    }

    /// The event for a step to `now`.
    fn tell(&mut self, step: i64, now: Now) -> Option<EventBody> {
        if self.told.is_some_and(|told| now.instant.since(told) < TELL_AGAIN) {
            self.untold += 1;
            return None;
        }
        self.told = Some(now.instant);
        let direction = if step < 0 { "back" } else { "forward" };
        let by = span(step.unsigned_abs());
        let untold = std::mem::take(&mut self.untold);
        let more =
            if untold > 0 { format!("; {untold} earlier changes were not reported") } else { String::new() };
        let message =
            format!("this machine's clock was set {direction} by {by}, to {}{more}", now.utc.in_words());
        let body = EventBody::new(EventKind::Bridge, Severity::Warning, message)
            .because("clock_set")
            .with("from", now.utc.shifted(step.saturating_neg()).to_string())
            .with("to", now.utc.to_string());
        Some(body)
    }
}

/// A duration in words, rounded down.
fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Clients whose clocks disagree with this machine's.
#[derive(Debug, Default)]
pub(super) struct Doubts(BTreeMap<Identity, (Instant, String)>);

impl Doubts {
    /// A request was refused for its time. True if that matters.
    pub(super) fn refused(&mut self, reply: &Reply, now: Instant) -> bool {
        let matters = matches!(reply.code, Some(Code::ClockSkew | Code::Expired)) && !reply.duplicate;
        if matters {
            self.0.insert(reply.by.clone(), (now, reply.message.clone()));
        }
        matters
    }

    /// A request came in time: this machine's clock is right. True if that was in doubt.
    pub(super) fn agreed(&mut self) -> bool {
        !std::mem::take(&mut self.0).is_empty()
    }

    pub(super) fn condition(&self, now: Instant) -> Option<Condition> {
        let counts = |(at, _): &(Instant, String)| now.since(*at) < DOUBTED_FOR;
        let doubters: Vec<_> = self.0.iter().filter(|(_, doubt)| counts(doubt)).collect();
        if doubters.len() < DOUBTERS {
            return None;
        }
        let names: Vec<_> = doubters.iter().map(|(by, _)| by.as_str()).collect();
        let (by, (_, last)) = doubters.into_iter().max_by_key(|(_, (at, _))| *at)?;
        let text = format!(
            "the clocks of {} disagree with this machine's, which is probably wrong (time synchronisation?); {by} \
             was told: {last}",
            names.join(", ")
        );
        Some(Condition::new(&concern::CLOCK_SKEW, text))
    }
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// Corrects the dates that came from a wrong clock.
    pub(super) fn look_at_the_clock(&mut self, now: Now) {
        let Some(step) = self.clock.look(now) else { return };
        self.started.utc = self.started.utc.shifted(step);
        self.ledger.clock_set(step);
        // Refusals under the old clock say nothing about the new one.
        self.doubts.agreed();
        self.dirty = true;
        if let Some(told) = self.clock.tell(step, now) {
            self.emit(told, now);
        }
    }
}
