//! Getting there: run or standby is sent when the unit disagrees, read back, and tried again later
//! when it does not come about.

use std::time::Duration;

use bridge::controller::DeviceRefusal;
use bus::clock::{Instant, Now};
use bus::command::Outcome;
use bus::message::{Code, EventKind, Happening, Severity};
use chiller_device::Mode;

use super::Chiller;
use super::work::Switch;
use crate::protocol::{Reply, Request, Status, Temperature, UnitMode};

/// When automatic control tries again what did not come about; the last one for ever.
pub(super) const RETRIES: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(300), Duration::from_secs(600)];

/// A unit that has run for so long after a start has been started for good.
const STEADY_AFTER: Duration = Duration::from_secs(600);

/// A start or stop that did not come about.
#[derive(Debug)]
pub(super) struct NotDone {
    pub(super) on: bool,
    pub(super) why: String,
    attempts: usize,
    /// In manual nothing is tried again.
    pub(super) retry_at: Option<Instant>,
}

/// Run means that the unit says so and pumps; standby, that the pump is off.
pub(super) fn is_reached(on: bool, status: Status) -> bool {
    if on { status.unit_mode == UnitMode::Run && status.pump_on } else { !status.pump_on }
}

pub(super) fn back_off(attempts: usize) -> Duration {
    RETRIES.get(attempts).or(RETRIES.last()).copied().unwrap_or_default()
}

impl Chiller {
    /// Brings the unit to what automatic control wants. In manual nothing moves without a command.
    pub(super) fn steer(&mut self, now: Now) {
        let (Some(status), Some(wanted)) = (self.unit.status(), self.wanted_by_automatic()) else { return };
        if self.saved.mode == Mode::Manual || self.is_released() || self.clear.is_some() {
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
            // A start or stop that is no longer wanted, and not sent yet, is not sent; one that was sent
            // is undone, for the unit only does not show it yet.
            let dropped = self.switch.take_if(|switch| switch.ticket.is_none() && switch.on != wanted);
            self.not_done = None;
            if dropped.is_some_and(|switch| switch.is_out()) {
                self.switch = Some(Switch::new(wanted, None, now.instant, self.settings.start_deadline));
            }
            if wanted && self.started_pump.is_some_and(|since| now.instant.since(since) >= STEADY_AFTER) {
                self.alarm_retries = 0;
            }
            return;
        }
        if wanted {
            self.note_drop(now);
        }
        let under_way = self.switch.as_ref().is_some_and(|switch| switch.on == wanted);
        let waiting = self.not_done.as_ref().is_some_and(|not_done| {
            not_done.on == wanted && not_done.retry_at.is_none_or(|at| now.instant < at)
        });
        if under_way || waiting {
            return;
        }
        self.switch = Some(Switch::new(wanted, None, now.instant, self.settings.start_deadline));
    }

    /// Service has the unit: nothing more is sent.
    fn hands_off(&mut self) {
        self.started_pump = None;
        self.not_done = None;
        self.switch.take_if(|switch| switch.ticket.is_none());
        if self.clear.take_if(|clear| clear.ticket.is_none()).is_some() {
            self.alarm_read = false;
        }
    }

    /// A unit that runs and falls back soon after is started again once, and then not again and
    /// again: it may have been switched off at its panel, or be about to break.
    fn note_drop(&mut self, now: Now) {
        let Some(since) = self.started_pump.take() else { return };
        let ran = now.instant.since(since);
        if ran >= STEADY_AFTER {
            self.drops = 0;
            return;
        }
        let wait = self.drops.checked_sub(1).map(back_off);
        self.drops += 1;
        let why = format!("it ran for {} s and stopped by itself", ran.as_secs());
        let again =
            wait.map_or("again now".to_owned(), |wait| format!("again in {} min", wait.as_secs() / 60));
        let message = format!("the unit did not keep running: {why}; {again}");
        self.happened(
            Happening::new(EventKind::Transition, Severity::Error, message)
                .because("start_failed")
                .with("attempt", self.drops),
        );
        if let Some(wait) = wait {
            let retry_at = Some(now.instant + wait);
            self.not_done = Some(NotDone { on: true, why, attempts: self.drops - 1, retry_at });
        }
    }

    pub(super) fn take_status(&mut self, status: Status, now: Now) {
        if self.saved.mode == Mode::Manual && self.saved.request.is_none() {
            self.saved.request = Some(status.pump_on);
        }
        let Some(switch) = self.switch.as_ref().filter(|switch| switch.is_sent()) else { return };
        if is_reached(switch.on, status) {
            let took = now.instant.since(switch.since).as_secs_f64();
            let done = if switch.on { "running" } else { "off" };
            let outcome = Outcome::succeeded(format!("{done} after {took:.1} s"));
            let by_itself = switch.on && self.saved.mode == Mode::Automatic;
            let ticket = self.switch.take().and_then(|switch| switch.ticket);
            self.not_done = None;
            self.started_pump = by_itself.then_some(now.instant);
            // Flow and drive are about to change: read them now.
            self.plan.hurry(now.instant);
            self.answer(ticket, outcome);
        } else if switch.on && (status.alarm || status.unit_mode == UnitMode::Safety) {
            let message = format!("the unit has an alarm{}", self.alarms_in_words());
            self.switch_failed(Code::Alarm, message, now);
        }
    }

    pub(super) fn switch_failed(&mut self, code: Code, why: String, now: Now) {
        let Some(switch) = self.switch.take() else { return };
        let what = if switch.on { "start" } else { "stop" };
        let attempts = match &self.not_done {
            Some(not_done) if not_done.on == switch.on => not_done.attempts + 1,
            _ => 0,
        };
        let retry_in = (self.saved.mode == Mode::Automatic).then(|| back_off(attempts));
        let retry = retry_in.map_or(String::new(), |wait| format!("; again in {} min", wait.as_secs() / 60));
        let message = format!("the unit did not {what}: {why}{retry}");
        self.happened(
            Happening::new(EventKind::Transition, Severity::Error, message)
                .because(format!("{what}_failed"))
                .with("attempt", attempts + 1),
        );
        self.not_done = Some(NotDone {
            on: switch.on,
            why: why.clone(),
            attempts,
            retry_at: retry_in.map(|wait| now.instant + wait),
        });
        self.answer(switch.ticket, Outcome::failed(code, why));
    }

    pub(super) fn switch_overdue(&mut self, now: Now) {
        let Some(switch) = self.switch.as_ref().filter(|switch| now.instant >= switch.deadline) else {
            return;
        };
        let limit = self.settings.start_deadline.as_secs_f64();
        let (order, what) = if switch.on { ("run", "start") } else { ("standby", "stop") };
        let says = self.unit.status().map_or("nothing".to_owned(), |status| {
            format!("{:?}, pump {}", status.unit_mode, if status.pump_on { "on" } else { "off" })
                .to_lowercase()
        });
        let why = format!("it acknowledged {order} and did not {what} within {limit} s; it says {says}");
        self.switch_failed(Code::Failed, why, now);
    }

    /// An answer that some work waits for.
    pub(super) fn work_answered(&mut self, request: &Request, reply: Reply, now: Now) {
        match (request, reply) {
            (Request::SetRunning(on), _) => {
                if self.clear.is_some() {
                    self.put_in_standby();
                } else if let Some(switch) = self.switch.as_mut().filter(|switch| switch.on == *on) {
                    switch.accepted(now.instant);
                }
            }
            (Request::SetTemperature(accepted), _) => {
                if let Some(work) = self.set_point.as_mut().filter(|work| work.temperature == *accepted) {
                    work.accepted();
                }
            }
            (Request::ReadSetTemperature, Reply::Temperature(temperature)) => {
                self.set_point_read(temperature);
            }
            _ => {}
        }
    }

    /// Whether a request that found no answer is still to be made: what was overridden is not.
    pub(super) fn is_still_wanted(&self, request: &Request) -> bool {
        match request {
            _ if self.is_released() => false,
            Request::SetRunning(false) if self.clear.is_some() => true,
            // In manual nobody stands behind an order whose command was overridden.
            Request::SetRunning(on) => self.switch.as_ref().is_some_and(|switch| {
                switch.on == *on && (self.saved.mode == Mode::Automatic || switch.ticket.is_some())
            }),
            Request::SetTemperature(temperature) => {
                self.set_point.as_ref().is_some_and(|work| work.temperature == *temperature)
            }
            Request::ReadAndClearAlarms => self.clear.is_some(),
            _ => true,
        }
    }

    fn set_point_read(&mut self, temperature: Temperature) {
        let Some(work) = self.set_point.take_if(|work| work.is_sent()) else { return };
        let outcome = if temperature == work.temperature {
            Outcome::succeeded(format!("set point {:.1} °C", temperature.celsius()))
        } else {
            let message = format!(
                "the unit acknowledged {:.1} °C and says {:.1} °C",
                work.temperature.celsius(),
                temperature.celsius()
            );
            Outcome::failed(Code::Failed, message)
        };
        self.answer(Some(work.ticket), outcome);
    }

    /// A refusal of an order, or of what reads it back, ends the work with it.
    pub(super) fn work_refused(&mut self, request: &Request, refusal: &DeviceRefusal, now: Now) {
        match request {
            Request::SetRunning(on)
                if self.clear.is_none() && self.switch.as_ref().is_some_and(|switch| switch.on == *on) =>
            {
                self.switch_failed(Code::Failed, format!("the unit refuses: {refusal}"), now);
            }
            Request::SetTemperature(refused) => {
                if let Some(work) = self.set_point.take_if(|work| work.temperature == *refused) {
                    let celsius = work.temperature.celsius();
                    let message = format!("the unit refuses {celsius:.1} °C: {refusal}");
                    self.answer(Some(work.ticket), Outcome::failed(Code::Failed, message));
                }
            }
            Request::ReadSetTemperature => {
                if let Some(work) = self.set_point.take_if(|work| work.is_sent()) {
                    let message = format!("the unit does not say its set point: {refusal}");
                    self.answer(Some(work.ticket), Outcome::failed(Code::Failed, message));
                }
            }
            _ => {}
        }
    }
}
