//! The operators' commands: whether each is possible now, and how it begins.

use bridge::controller::{Command, Effect};
use bridge::store::StoreError;
use bus::clock::Now;
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::Verb;
use bus::message::{Code, reason};
use bus::topic::Identity;
use chiller_device::Mode;

use super::Chiller;
use super::contact::Released;
use super::steer::is_reached;
use super::summary::mode_word;
use super::work::{Clear, Saving, Switch};
use crate::protocol::UnitMode;

impl Chiller {
    pub(super) fn is_possible(&self, verb: &'static Verb, arguments: &Arguments) -> Result<(), Refusal> {
        if verb.name == "enabled" && self.notes.saved.mode == Mode::Automatic {
            let message = "automatic control decides: set the mode to manual first";
            return Err(Refusal::new(Code::ModeIsAutomatic, message));
        }
        if !matches!(verb.name, "enabled" | "setpoint" | "clear_alarms") {
            return Ok(());
        }
        if self.contact.is_released() {
            let message = "the unit is released to its front panel: end that with release 0";
            return Err(Refusal::because(Code::NotConnected, reason::RELEASED, message));
        }
        let Some(status) = self.unit.status().filter(|_| self.contact.is_connected()) else {
            return Err(Refusal::new(Code::NotConnected, self.why_no_status()));
        };
        if status.unit_mode == UnitMode::Test {
            return Err(Refusal::new(Code::Blocked, "the unit is in its test mode, in the hands of service"));
        }
        if verb.name == "enabled" && arguments.word("enabled") == Some("on") && self.has_alarm() {
            let message = format!("{}: give it the command clear_alarms first", self.alarm_in_words());
            return Err(Refusal::new(Code::Alarm, message));
        }
        Ok(())
    }

    fn why_no_status(&self) -> &'static str {
        if self.contact.is_connected() {
            "the chiller answers, but refuses to tell its status"
        } else if self.contact.silence().is_some() {
            "the chiller does not answer"
        } else if self.contact.was_heard() {
            "the chiller is only now being asked again, and has not answered yet: wait a moment, then try again"
        } else {
            "the chiller has not answered yet, because the bridge only begins to ask it: wait a moment, then try \
             again"
        }
    }

    pub(super) fn run(&mut self, command: Command, now: Now) {
        let ticket = command.ticket;
        let arguments = command.arguments;
        let (word, number) = (|name| arguments.word(name), |name| arguments.number(name));
        match command.verb.name {
            "mode" if word("mode") == Some("manual") => self.set_mode(Mode::Manual, ticket, now),
            "mode" => self.set_mode(Mode::Automatic, ticket, now),
            "enabled" => self.set_enabled(word("enabled") == Some("on"), ticket, now),
            "setpoint" => self.command_set_point(number("celsius").unwrap_or(f64::NAN), ticket, now),
            "clear_alarms" => self.clear_alarms(ticket),
            "release" => self.release(number("minutes").unwrap_or_default(), ticket, now),
            verb => {
                let message = format!("the chiller has no way to run {verb}");
                self.answer(Some(ticket), Outcome::failed(Code::Failed, message));
            }
        }
    }

    /// Ends the work with a waiting ticket, because another command overrides it.
    fn override_running(&mut self, by: &Identity, verb: &str) {
        let outcome = Outcome::stopped(by, verb);
        self.set_point_given_up();
        for ticket in self.work.give_up_tickets() {
            self.answer(Some(ticket), outcome.clone());
        }
    }

    fn set_mode(&mut self, mode: Mode, ticket: Ticket, now: Now) {
        self.override_running(&ticket.by, "mode");
        if mode == self.notes.saved.mode && !self.notes.saved.mode_lost && !self.notes.not_saved {
            let since =
                self.notes.saved.since.map(|date| format!(" since {}", date.in_words())).unwrap_or_default();
            let message = format!("{} already{since}", mode_word(mode));
            return self.answer(Some(ticket), Outcome::succeeded(message));
        }
        self.notes.saved.mode_lost = false;
        self.trials.forget();
        // From now on only orders that were already sent may still take effect.
        self.work.switch.take_if(|switch| !switch.order.is_sent());
        if mode == Mode::Manual && self.work.clear.take().is_some() {
            self.alarm_watch.was_read = false;
        }
        // Switching to manual never turns the unit off: the request becomes the present or ordered
        // state.
        let request = self.work.switch.as_ref().map(|switch| switch.on).or(self.unit.pump_on());
        self.notes.saved.request = request.filter(|_| mode == Mode::Manual);
        self.notes.saved.mode = mode;
        self.notes.saved.since = Some(now.utc);
        self.notes.saved.by = Some(ticket.by.clone());
        self.work.mode_change = Some(ticket);
        self.save();
        if let Some(wanted) = self.wanted_by_automatic() {
            self.end_release_for(wanted, now);
        }
    }

    /// The save has ended: answers a change of the mode.
    pub(super) fn mode_saved(&mut self, result: Result<(), StoreError>) {
        self.end_mode_change(result.err().map(|error| error.to_string()).as_deref());
    }

    /// The disk does not respond: answers a change of the mode at its deadline.
    pub(super) fn mode_change_overdue(&mut self, now: Now) {
        if self.work.mode_change_limit().is_some_and(|at| now.instant >= at) {
            self.notes.not_saved = true;
            self.end_mode_change(Some("the disk does not answer"));
            self.effects.push_back(Effect::Publish);
        }
    }

    /// Answers an order that must survive a restart, once the disk has it, or with what a restart
    /// would do.
    pub(super) fn answer_when_saved(&mut self, ticket: Option<Ticket>, outcome: Outcome, now: Now) {
        self.work.saving.extend(ticket.map(|ticket| Saving::new(ticket, outcome, now.instant)));
        if !self.notes.is_writing {
            self.answer_saved(None);
        }
    }

    /// The save has ended, with this error.
    pub(super) fn answer_saved(&mut self, error: Option<&str>) {
        let would_forget = self.notes.would_forget();
        for Saving { ticket, outcome, .. } in std::mem::take(&mut self.work.saving) {
            let outcome = if would_forget {
                let detail = error.map(|error| format!(" ({error})")).unwrap_or_default();
                let message = format!(
                    "{}, but that could not be saved: a restart of the bridge would forget the order{detail}",
                    outcome.message
                );
                Outcome::failed(Code::Failed, message)
            } else {
                outcome
            };
            self.answer(Some(ticket), outcome);
        }
    }

    /// The disk does not respond: answers what waits for it.
    pub(super) fn saving_overdue(&mut self, now: Now) {
        if self.work.saving_limit().is_some_and(|at| now.instant >= at) {
            self.notes.not_saved = true;
            self.answer_saved(Some("the disk does not answer"));
            self.effects.push_back(Effect::Publish);
        }
    }

    fn end_mode_change(&mut self, error: Option<&str>) {
        let ticket = self.work.mode_change.take();
        let mode = mode_word(self.notes.saved.mode);
        let outcome = match (error, self.notes.other_mode_after_restart()) {
            (None, _) => Outcome::succeeded(format!("{mode} now")),
            (Some(error), Some(other)) => Outcome::failed(
                Code::Failed,
                format!("{mode} now, but not saved: a restart returns to {} ({error})", mode_word(other)),
            ),
            (Some(error), None) => Outcome::failed(
                Code::Failed,
                format!("{mode} now, but not saved: a restart forgets who set it ({error})"),
            ),
        };
        self.answer(ticket, outcome);
    }

    fn set_enabled(&mut self, on: bool, ticket: Ticket, now: Now) {
        self.override_running(&ticket.by, "enabled");
        self.trials.not_done = None;
        if self.notes.saved.request != Some(on) || self.notes.would_forget() {
            self.notes.saved.request = Some(on);
            self.save();
        }
        let reached = self.unit.status().is_some_and(|status| is_reached(on, status));
        if reached && self.work.switch.is_none() {
            let message = format!("{} already", if on { "running" } else { "off" });
            return self.answer_when_saved(Some(ticket), Outcome::succeeded(message), now);
        }
        self.work.switch = Some(Switch::new(on, Some(ticket), now.instant, self.settings.start_deadline));
    }

    fn clear_alarms(&mut self, ticket: Ticket) {
        self.alarm_watch.retries = 0;
        if self.unit.has_alarm() {
            self.work.switch = None;
            self.work.clear = Some(Clear::new(Some(ticket)));
            return;
        }
        let message = if self.notes.saved.alarm.is_some() {
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
            let message = if self.contact.is_released() { "polling again" } else { "it was not released" };
            self.end_release(now);
            return self.answer(Some(ticket), Outcome::succeeded(message));
        }
        // The last known state of the pump: that from before an earlier release, if there is one.
        let pump_on = self.contact.released().map_or(self.unit.pump_on(), |released| released.pump_on);
        self.contact.release(Released::new(minutes, pump_on, now), now.instant);
        self.unit.forget();
        self.panel_is_free();
        self.work.switch = None;
        self.trials.disown_pump();
        if self.work.clear.take().is_some() {
            self.alarm_watch.was_read = false;
        }
        self.effects.push_back(Effect::Pause(true));
        let message = format!("not polled for {minutes} min: the keypad unlocks within 10 s");
        self.answer(Some(ticket), Outcome::succeeded(message));
    }

    /// Automatic control wants a change: ends the release.
    pub(super) fn end_release_for(&mut self, wanted: bool, now: Now) {
        let pump_on = self.contact.released().map(|released| released.pump_on);
        if self.notes.saved.mode == Mode::Automatic && pump_on.is_some_and(|pump_on| pump_on != Some(wanted))
        {
            self.end_release(now);
        }
    }

    pub(super) fn end_release(&mut self, now: Now) {
        if self.contact.end_release(now.instant) {
            self.effects.push_back(Effect::Pause(false));
            self.effects.push_back(Effect::Publish);
        }
    }
}
