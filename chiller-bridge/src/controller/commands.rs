//! The operators' commands: whether each is possible just now, and how it begins.

use std::time::Duration;

use bridge::controller::{Command, Effect};
use bridge::store::StoreError;
use bus::clock::Now;
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::Verb;
use bus::message::{Code, reason};
use bus::topic::Identity;
use chiller_device::Mode;

use super::steer::is_reached;
use super::work::{Clear, SetPoint, Switch};
use super::{Chiller, Released, mode_word};
use crate::protocol::{Temperature, UnitMode};

impl Chiller {
    pub(super) fn is_possible(&self, verb: &'static Verb, arguments: &Arguments) -> Result<(), Refusal> {
        if verb.name == "enabled" && self.saved.mode == Mode::Automatic {
            let message = "automatic control decides: set the mode to manual first";
            return Err(Refusal::new(Code::ModeIsAutomatic, message));
        }
        if !matches!(verb.name, "enabled" | "setpoint" | "clear_alarms") {
            return Ok(());
        }
        if self.is_released() {
            let message = "the unit is released to its front panel: end that with release 0";
            return Err(Refusal::because(Code::NotConnected, reason::RELEASED, message));
        }
        let Some(status) = self.unit.status().filter(|_| self.connected) else {
            return Err(Refusal::new(Code::NotConnected, "the chiller does not answer"));
        };
        if status.unit_mode == UnitMode::Test {
            return Err(Refusal::new(Code::Blocked, "the unit is in its test mode, in the hands of service"));
        }
        if verb.name == "enabled" && arguments.word("enabled") == Some("on") && self.has_alarm() {
            let message = format!("the unit has an alarm{}: clear it first", self.alarms_in_words());
            return Err(Refusal::new(Code::Alarm, message));
        }
        Ok(())
    }

    pub(super) fn run(&mut self, command: Command, now: Now) {
        let ticket = command.ticket;
        let arguments = command.arguments;
        let (word, number) = (|name| arguments.word(name), |name| arguments.number(name));
        match command.verb.name {
            "mode" if word("mode") == Some("manual") => self.set_mode(Mode::Manual, ticket, now),
            "mode" => self.set_mode(Mode::Automatic, ticket, now),
            "enabled" => self.set_enabled(word("enabled") == Some("on"), ticket, now),
            "setpoint" => match number("celsius").and_then(Temperature::from_celsius) {
                Some(temperature) => self.set_point = Some(SetPoint::new(temperature, ticket)),
                None => {
                    let message = "the unit has no such temperature";
                    self.answer(Some(ticket), Outcome::failed(Code::OutsideLimits, message));
                }
            },
            "clear_alarms" => self.clear_alarms(ticket),
            "release" => self.release(number("minutes").unwrap_or_default(), ticket, now),
            verb => {
                let message = format!("the chiller has no way to run {verb}");
                self.answer(Some(ticket), Outcome::failed(Code::Failed, message));
            }
        }
    }

    /// The work that has a waiting ticket ends, because another command overrides it.
    fn override_running(&mut self, by: &Identity, verb: &str) {
        let outcome = Outcome::stopped(by, verb);
        let set_point = self.set_point.take().map(|work| work.ticket);
        let clear = self.clear.take_if(|clear| clear.ticket.is_some()).and_then(|work| work.ticket);
        // A start goes on without its ticket: whether it is still wanted is decided elsewhere.
        let switch = self.switch.as_mut().and_then(|work| work.ticket.take());
        let mode = self.mode_change.take();
        for ticket in [set_point, clear, switch, mode] {
            self.answer(ticket, outcome.clone());
        }
    }

    fn set_mode(&mut self, mode: Mode, ticket: Ticket, now: Now) {
        self.override_running(&ticket.by, "mode");
        if mode == self.saved.mode && !self.mode_lost && !self.mode_not_saved {
            let since = self.saved.since.map(|date| format!(" since {date}")).unwrap_or_default();
            let message = format!("{} already{since}", mode_word(mode));
            return self.answer(Some(ticket), Outcome::succeeded(message));
        }
        self.mode_lost = false;
        self.not_done = None;
        self.started_pump = None;
        // From now on only what was already sent may still happen.
        self.switch.take_if(|switch| !switch.is_under_way());
        if mode == Mode::Manual && self.clear.take().is_some() {
            self.alarm_read = false;
        }
        // Switching to manual never turns the unit off: the request is what it does, or is about to.
        let request = self.switch.as_ref().map(|switch| switch.on).or(self.unit.pump_on());
        self.saved.request = request.filter(|_| mode == Mode::Manual);
        self.saved.mode = mode;
        self.saved.since = Some(now.utc);
        self.saved.by = Some(ticket.by.clone());
        self.mode_change = Some(ticket);
        self.save();
        if let Some(wanted) = self.wanted_by_automatic() {
            self.end_release_for(wanted, now);
        }
    }

    pub(super) fn mode_saved(&mut self, result: Result<(), StoreError>) {
        self.mode_not_saved = result.is_err();
        let ticket = self.mode_change.take();
        let outcome = match (result, self.saved.mode) {
            (Ok(()), mode) => Outcome::succeeded(format!("{} now", mode_word(mode))),
            (Err(error), Mode::Manual) => Outcome::failed(
                Code::Failed,
                format!("manual now, but not saved: a restart returns to automatic ({error})"),
            ),
            (Err(error), Mode::Automatic) => Outcome::failed(
                Code::Failed,
                format!("automatic now, but not saved: a restart returns to manual ({error})"),
            ),
        };
        self.answer(ticket, outcome);
    }

    fn set_enabled(&mut self, on: bool, ticket: Ticket, now: Now) {
        self.override_running(&ticket.by, "enabled");
        self.not_done = None;
        if self.saved.request != Some(on) {
            self.saved.request = Some(on);
            self.save();
        }
        let reached = self.unit.status().is_some_and(|status| is_reached(on, status));
        if reached && self.switch.is_none() {
            let message = format!("{} already", if on { "running" } else { "off" });
            return self.answer(Some(ticket), Outcome::succeeded(message));
        }
        self.switch = Some(Switch::new(on, Some(ticket), now.instant, self.settings.start_deadline));
    }

    fn clear_alarms(&mut self, ticket: Ticket) {
        self.alarm_retries = 0;
        if self.unit.has_alarm() {
            self.switch = None;
            self.clear = Some(Clear::new(Some(ticket)));
            return;
        }
        let message = if self.saved.alarm.is_some() {
            self.forget_alarm("cleared");
            "the unit has no alarm any more; the bridge has forgotten its own"
        } else {
            "there is no alarm"
        };
        self.answer(Some(ticket), Outcome::succeeded(message));
    }

    fn release(&mut self, minutes: f64, ticket: Ticket, now: Now) {
        self.override_running(&ticket.by, "release");
        if minutes <= 0.0 {
            let message = if self.is_released() { "polling again" } else { "it was not released" };
            self.end_release(now);
            return self.answer(Some(ticket), Outcome::succeeded(message));
        }
        let until = now.instant + Duration::from_secs_f64(minutes * 60.0);
        let pump_on = match &self.released {
            Some(released) => released.pump_on,
            None => self.unit.pump_on(),
        };
        self.released = Some(Released { until, pump_on, lost: false });
        self.switch = None;
        self.started_pump = None;
        if self.clear.take().is_some() {
            self.alarm_read = false;
        }
        self.forget_unit(now);
        self.effects.push_back(Effect::Pause(true));
        let message = format!("not polled for {minutes} min: the keypad unlocks within 10 s");
        self.answer(Some(ticket), Outcome::succeeded(message));
    }

    /// Automatic control wants a change: the unit is let alone no longer.
    pub(super) fn end_release_for(&mut self, wanted: bool, now: Now) {
        let pump_on = self.released.as_ref().map(|released| released.pump_on);
        if self.saved.mode == Mode::Automatic && pump_on.is_some_and(|pump_on| pump_on != Some(wanted)) {
            self.end_release(now);
        }
    }

    pub(super) fn end_release(&mut self, now: Now) {
        if let Some(released) = self.released.take() {
            self.resuming = !released.lost;
            self.plan.restart(now.instant);
            self.effects.push_back(Effect::Pause(false));
            self.effects.push_back(Effect::Publish);
        }
    }
}
