//! The contact with the unit: whether it answers, which query is next, and whether it is released
//! to its front panel.

use std::time::Duration;

use bridge::poll_plan::PollPlan;
use bus::clock::{Instant, Now, Utc};

use super::plan;
use crate::protocol::{Request, Threshold};

/// See the module.
#[derive(Debug)]
pub(super) struct Contact {
    plan: PollPlan<Request>,
    connected: bool,
    /// Why it does not answer; `None` before the first attempt.
    silence: Option<String>,
    was_heard: bool,
    /// The quick set was read completely since the link came up.
    fully_read: bool,
    /// A reply is awaited.
    is_asking: bool,
    released: Option<Released>,
    /// Polled again after a release, without a reply yet: this is not a loss.
    resuming: bool,
    thresholds: Vec<(Threshold, f64)>,
}

/// The unit is not polled, so that its keypad unlocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Released {
    pub(super) until: Instant,
    pub(super) until_utc: Utc,
    /// The pump's state at the beginning.
    pub(super) pump_on: Option<bool>,
    /// The port disappeared meanwhile.
    lost: bool,
}

impl Released {
    pub(super) fn new(minutes: f64, pump_on: Option<bool>, now: Now) -> Self {
        let end = now.after(Duration::from_secs_f64(minutes * 60.0));
        Self { until: end.instant, until_utc: end.utc, pump_on, lost: false }
    }
}

impl Contact {
    pub(super) fn new(query_delay: Duration, now: Now) -> Self {
        Self {
            plan: PollPlan::new(plan::GROUPS, query_delay, now.instant),
            connected: false,
            silence: None,
            was_heard: false,
            fully_read: false,
            is_asking: false,
            released: None,
            resuming: false,
            thresholds: Vec::new(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Why it does not answer.
    pub(super) fn silence(&self) -> Option<&str> {
        self.silence.as_deref()
    }

    /// Whether it has answered since the start.
    pub(super) fn was_heard(&self) -> bool {
        self.was_heard
    }

    /// Whether the quick set was read completely since the link came up.
    pub(super) fn is_fully_read(&self) -> bool {
        self.fully_read
    }

    pub(super) fn released(&self) -> Option<&Released> {
        self.released.as_ref()
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.is_some()
    }

    /// Whether a release has just ended, and the unit has not answered since.
    pub(super) fn is_resuming(&self) -> bool {
        self.resuming
    }

    /// Discards all readings.
    fn forget(&mut self, now: Instant) {
        self.connected = false;
        self.fully_read = false;
        self.thresholds.clear();
        self.plan.restart(now);
    }

    /// The unit has answered `request`, or refused it.
    pub(super) fn answered(&mut self, request: &Request) {
        self.connected = true;
        self.was_heard = true;
        self.silence = None;
        self.resuming = false;
        self.fully_read |= Some(request) == plan::QUICK.last();
    }

    /// No reply is awaited any more.
    pub(super) fn nothing_is_out(&mut self) {
        self.is_asking = false;
    }

    pub(super) fn lost(&mut self, reason: String, now: Instant) {
        self.is_asking = false;
        self.silence = Some(reason);
        self.resuming = false;
        if let Some(released) = &mut self.released {
            released.lost = true;
        }
        self.forget(now);
    }

    pub(super) fn release(&mut self, released: Released, now: Instant) {
        self.released = Some(released);
        self.forget(now);
    }

    /// Ends a release; false if there was none.
    pub(super) fn end_release(&mut self, now: Instant) -> bool {
        let Some(released) = self.released.take() else { return false };
        self.resuming = !released.lost;
        self.plan.restart(now);
        true
    }

    /// Collects a threshold; returns all of them after the last one.
    pub(super) fn take_threshold(
        &mut self,
        threshold: Threshold,
        value: f64,
    ) -> Option<Vec<(Threshold, f64)>> {
        self.thresholds.push((threshold, value));
        let are_all = self.thresholds.len() == plan::THRESHOLDS.len();
        are_all.then(|| std::mem::take(&mut self.thresholds))
    }

    /// The next cycle of readings begins now.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.plan.hurry(now);
    }

    /// Reads this before anything else.
    pub(super) fn read_first(&mut self, request: Request) {
        self.plan.ask_first(request);
    }

    /// The reading that is due, if any.
    pub(super) fn next_reading(&mut self, now: Instant) -> Option<Request> {
        self.plan.poll_request(now)
    }

    /// Notes the request that is sent, or that there is none.
    pub(super) fn asks(&mut self, request: Option<&Request>) {
        self.is_asking = request.is_some();
    }

    /// When `question` or the next reading is due. While a reply is awaited, nothing else can be
    /// sent, and an overdue query must not hide a later deadline.
    pub(super) fn next_question(&self, question: Option<Instant>) -> Option<Instant> {
        let due = question.into_iter().chain(self.plan.poll_timeout()).min();
        due.filter(|_| !self.is_asking)
    }
}
