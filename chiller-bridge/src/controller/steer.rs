//! Steering: run or standby is sent when the unit disagrees, read back, and retried later if it
//! fails.

use std::time::Duration;

use bridge::controller::DeviceRefusal;
use bridge::order::{Late, OrderProgress, Refused};
use bus::clock::{Instant, Now};
use bus::command::Outcome;
use bus::message::{Code, EventBody, EventKind, Severity};
use chiller_device::Mode;

use super::Chiller;
use super::work::Switch;
use crate::protocol::{Reply, Request, Status, UnitMode};

/// Intervals after which automatic control retries a failed start or stop; the last one is repeated
/// for ever.
pub(super) const RETRIES: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(300), Duration::from_secs(600)];

/// After running this long a start is final.
const STEADY_AFTER: Duration = Duration::from_secs(600);

/// Failed starts and stops, and how often a started pump stopped by itself.
#[derive(Debug, Default)]
pub(super) struct Trials {
    pub(super) not_done: Option<NotDone>,
    /// Since when the pump runs because automatic control started it.
    started_pump: Option<Instant>,
    /// How often it stopped by itself soon after.
    drops: usize,
}

/// A failed start or stop.
#[derive(Debug)]
pub(super) struct NotDone {
    pub(super) on: bool,
    pub(super) why: String,
    attempts: usize,
    /// In manual mode nothing is retried.
    retry_at: Option<Instant>,
}

impl Trials {
    /// Why the last start failed.
    pub(super) fn start_failed(&self) -> Option<&str> {
        self.not_done.as_ref().filter(|not_done| not_done.on).map(|not_done| not_done.why.as_str())
    }

    /// Why the last stop failed.
    pub(super) fn stop_failed(&self) -> Option<&str> {
        self.not_done.as_ref().filter(|not_done| !not_done.on).map(|not_done| not_done.why.as_str())
    }

    /// Somebody else controls the pump: if it stops, this is not a failure of our start.
    pub(super) fn disown_pump(&mut self) {
        self.started_pump = None;
    }

    /// Forgets failures after a new decision.
    pub(super) fn forget(&mut self) {
        self.not_done = None;
        self.started_pump = None;
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.not_done.as_ref().and_then(|not_done| not_done.retry_at)
    }

    /// Whether to wait with this, or not to try it at all.
    fn must_wait(&self, on: bool, now: Instant) -> bool {
        self.not_done.as_ref().is_some_and(|not_done| {
            not_done.on == on && not_done.retry_at.is_none_or(|retry_at| now < retry_at)
        })
    }

    /// Whether the pump has run long enough since automatic control started it.
    fn is_steady(&self, now: Instant) -> bool {
        self.started_pump.is_some_and(|since| now.since(since) >= STEADY_AFTER)
    }
}

/// Run means that the unit reports it and pumps; standby means that the pump is off.
pub(super) fn is_reached(on: bool, status: Status) -> bool {
    if on { status.unit_mode == UnitMode::Run && status.pump_on } else { !status.pump_on }
}

pub(super) fn back_off(attempts: usize) -> Duration {
    RETRIES.get(attempts).or(RETRIES.last()).copied().unwrap_or_default()
}

const fn unit_mode_in_words(mode: UnitMode) -> &'static str {
    match mode {
        UnitMode::AutoStart => "auto start",
        UnitMode::Standby => "standby",
        UnitMode::Run => "run",
        UnitMode::Safety => "safety mode",
        UnitMode::Test => "test mode",
    }
}

impl Chiller {
    /// Brings the unit to the state that automatic control wants. In manual mode nothing changes
    /// without a command.
    pub(super) fn steer(&mut self, now: Now) {
        let (Some(status), Some(wanted)) = (self.unit.status(), self.wanted_by_automatic()) else { return };
        if self.notes.saved.mode == Mode::Manual || self.contact.is_released() || self.work.clear.is_some() {
            return;
        }
        if status.unit_mode == UnitMode::Test {
            self.hands_off();
            return;
        }
        if self.alarm_stands_in_the_way(wanted, now) {
            return;
        }
        if status.pump_on == wanted {
            // A start or stop that is no longer wanted is not sent if it was not sent yet; if it
            // was sent, it is undone, because the unit only does not show it yet.
            let dropped =
                self.work.switch.take_if(|switch| switch.order.ticket.is_none() && switch.on != wanted);
            self.trials.not_done = None;
            if dropped.is_some_and(|switch| switch.order.is_sent()) {
                self.switch_to(wanted, now);
            }
            if wanted && self.trials.is_steady(now.instant) {
                self.alarm_watch.retries = 0;
            }
            return;
        }
        if wanted {
            self.note_drop(now);
        }
        let under_way = self.work.switch.as_ref().is_some_and(|switch| switch.on == wanted);
        if !under_way && !self.trials.must_wait(wanted, now.instant) {
            self.switch_to(wanted, now);
        }
    }

    fn switch_to(&mut self, on: bool, now: Now) {
        self.work.switch = Some(Switch::new(on, None, now.instant, self.settings.start_deadline));
    }

    /// Service has the unit: nothing more is sent.
    fn hands_off(&mut self) {
        self.trials.forget();
        self.work.switch.take_if(|switch| switch.order.ticket.is_none());
        if self.work.clear.take_if(|clear| clear.ticket.is_none()).is_some() {
            self.alarm_watch.was_read = false;
        }
    }

    /// A unit that stops by itself soon after its start is started again once, but not again and
    /// again: it may have been switched off at its panel, or be about to break.
    fn note_drop(&mut self, now: Now) {
        let Some(since) = self.trials.started_pump.take() else { return };
        let ran = now.instant.since(since);
        if ran >= STEADY_AFTER {
            self.trials.drops = 0;
            return;
        }
        let wait = self.trials.drops.checked_sub(1).map(back_off);
        self.trials.drops += 1;
        let why = format!("it ran for {} s and stopped without an order of the bridge", ran.as_secs());
        let again =
            wait.map_or("again now".to_owned(), |wait| format!("again in {} min", wait.as_secs() / 60));
        let message = format!("the unit did not keep running: {why}; {again}");
        self.emit(
            EventBody::new(EventKind::Transition, Severity::Error, message)
                .because("start_failed")
                .with("attempt", self.trials.drops),
        );
        if let Some(wait) = wait {
            let (attempts, retry_at) = (self.trials.drops - 1, Some(now.instant + wait));
            self.trials.not_done = Some(NotDone { on: true, why, attempts, retry_at });
        }
    }

    /// Compares a status with a start or stop in progress.
    pub(super) fn take_status(&mut self, status: Status, now: Now) {
        if self.notes.saved.mode == Mode::Manual && self.notes.saved.request.is_none() {
            self.notes.saved.request = Some(status.pump_on);
        }
        let Some(switch) = self.work.switch.as_mut() else { return };
        let on = switch.on;
        match switch.order.take(&Request::ReadStatus, Some(is_reached(on, status)), now.instant) {
            OrderProgress::Nothing => {}
            OrderProgress::Done(took) => {
                let done = if on { "running" } else { "off" };
                let outcome = Outcome::succeeded(format!("{done} after {:.1} s", took.as_secs_f64()));
                let by_itself = on && self.notes.saved.mode == Mode::Automatic;
                let ticket = self.work.switch.take().and_then(|switch| switch.order.ticket);
                self.trials.not_done = None;
                self.trials.started_pump = by_itself.then_some(now.instant);
                // Flow and drive are about to change: read them now.
                self.contact.hurry(now.instant);
                self.answer_when_saved(ticket, outcome, now);
            }
            OrderProgress::Differs if on && (status.alarm || status.unit_mode == UnitMode::Safety) => {
                let message = format!("the unit has an alarm{}", self.names_of_alarms());
                self.switch_failed(Code::Alarm, message, now);
            }
            OrderProgress::Differs => {}
        }
    }

    pub(super) fn switch_failed(&mut self, code: Code, why: String, now: Now) {
        let Some(Switch { on, order }) = self.work.switch.take() else { return };
        let what = if on { "start" } else { "stop" };
        let attempts = match &self.trials.not_done {
            Some(not_done) if not_done.on == on => not_done.attempts + 1,
            _ => 0,
        };
        let retry_in = (self.notes.saved.mode == Mode::Automatic).then(|| back_off(attempts));
        let retry = retry_in.map_or(String::new(), |wait| format!("; again in {} min", wait.as_secs() / 60));
        let message = format!("the unit did not {what}: {why}{retry}");
        self.emit(
            EventBody::new(EventKind::Transition, Severity::Error, message)
                .because(format!("{what}_failed"))
                .with("attempt", attempts + 1),
        );
        let retry_at = retry_in.map(|wait| now.instant + wait);
        self.trials.not_done = Some(NotDone { on, why: why.clone(), attempts, retry_at });
        self.answer(order.ticket, Outcome::failed(code, why));
    }

    pub(super) fn switch_overdue(&mut self, now: Now) {
        let Some(switch) = &self.work.switch else { return };
        let Some(late) = switch.order.late(now.instant) else { return };
        let limit = self.settings.start_deadline.as_secs_f64();
        let (order, what) = if switch.on { ("run", "start") } else { ("standby", "stop") };
        let did = match late {
            Late::NotSent => {
                format!("it could not be told {order} within {limit} s: other exchanges took too long")
            }
            Late::NotAcknowledged => format!("it did not acknowledge {order} within {limit} s"),
            Late::NotDone => format!("it acknowledged {order} and did not {what} within {limit} s"),
        };
        let says = self.unit.status().map_or("it says nothing now".to_owned(), |status| {
            let pump = if status.pump_on { "on" } else { "off" };
            format!("it says {}, pump {pump}", unit_mode_in_words(status.unit_mode))
        });
        self.switch_failed(Code::Failed, format!("{did}; {says}"), now);
    }

    /// Handles a reply for which some work waits.
    pub(super) fn work_answered(&mut self, request: &Request, reply: Reply, now: Now) {
        match (request, reply) {
            (Request::SetRunning(_), _) if self.work.clear.is_some() => self.put_in_standby(),
            (Request::SetRunning(_), _) => {
                if let Some(switch) = self.work.switch.as_mut() {
                    switch.order.take(request, None, now.instant);
                }
            }
            (Request::SetTemperature(_), _) => {
                if let Some(work) = self.work.set_point.as_mut() {
                    work.order.take(request, None, now.instant);
                }
            }
            (Request::ReadSetTemperature, Reply::Temperature(temperature)) => {
                self.set_point_read(temperature, now);
            }
            (Request::ReadUptime, Reply::Uptime(uptime)) => self.uptime_read(uptime.minutes(), now),
            _ => {}
        }
    }

    /// Whether a request without a reply must still be sent; an overridden one must not.
    pub(super) fn is_still_wanted(&self, request: &Request) -> bool {
        match request {
            _ if self.contact.is_released() => false,
            Request::SetRunning(false) if self.work.clear.is_some() => true,
            // In manual mode nobody wants an order whose command was overridden.
            Request::SetRunning(_) => self.work.switch.as_ref().is_some_and(|switch| {
                switch.order.is(request)
                    && (self.notes.saved.mode == Mode::Automatic || switch.order.ticket.is_some())
            }),
            Request::SetTemperature(_) => {
                self.work.set_point.as_ref().is_some_and(|work| work.order.is(request))
            }
            Request::ReadAndClearAlarms => self.work.clear.is_some(),
            _ => true,
        }
    }

    /// If the unit refuses an order, or the query that reads it back, its work ends.
    pub(super) fn work_refused(&mut self, request: &Request, refusal: &DeviceRefusal, now: Now) {
        let switch = self.work.switch.as_ref().filter(|_| self.work.clear.is_none());
        if switch.and_then(|switch| switch.order.refused(request)) == Some(Refused::Order) {
            self.switch_failed(Code::Failed, format!("the unit refuses: {refusal}"), now);
        }
        if let Some(refused) = self.work.set_point.as_ref().and_then(|work| work.order.refused(request)) {
            self.set_point_refused(refused, refusal);
        }
        if *request == Request::ReadUptime {
            self.uptime_unknown(now);
        }
    }
}
