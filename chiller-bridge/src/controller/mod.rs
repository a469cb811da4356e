//! What the chiller's bridge decides: what to ask next, whether the unit is to run, and how every
//! command ends. Pure: time is an argument.
//!
//! ```text
//!  offline --valid reply--> idle <--> starting --> cooling | heating | circulating --> stopping --> idle
//!     any --alarm, safety, start not done--> fault     any --test mode--> service     --release--> released
//! ```

mod plan;
mod state;
#[cfg(test)]
mod tests;
mod unit;
mod work;

use std::collections::VecDeque;
use std::time::Duration;

use bridge::controller::{Command, Concern, Controller, Effect, Input, LinkChange};
use bus::clock::{Instant, Now, Utc};
use bus::command::{Argument, Outcome, Refusal, Ticket, Verb};
use bus::message::{ChillerState, ChillerStatus, Code, EventKind, Happening, Mode, Severity, reason};
use bus::topic::Identity;
use serde::{Deserialize, Serialize};

use crate::protocol::{Reply, Request, Status, Temperature, UnitMode};
use plan::Plan;
use unit::Unit;
use work::{Clear, SetPoint, Switch};

/// What the controller must know.
#[derive(Clone, Debug)]
pub struct ControllerSettings {
    /// From one quick poll set to the next.
    pub query_delay: Duration,
    /// How long the unit may take to start or stop.
    pub start_deadline: Duration,
    /// Flow below which cameras are not cooled, l/min.
    pub min_flow: f64,
}

/// Who decides, and what the operator wants: survives a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// Who decides.
    pub mode: Mode,
    /// In manual, whether the unit is to run; `None`: as it is.
    pub request: Option<bool>,
    /// Since when.
    pub since: Option<Utc>,
    /// Who set it.
    pub by: Option<Identity>,
}

/// How the memory of the process before was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Memory {
    /// As it was left, or the copy before.
    Kept(Saved),
    /// There is none: a first start, in this mode.
    First(Mode),
    /// It is damaged, and the copy before too.
    Lost,
}

/// See the module.
#[derive(Debug)]
pub struct Chiller {
    settings: ControllerSettings,
    saved: Saved,
    mode_lost: bool,
    mode_not_saved: bool,
    unit: Unit,
    connected: bool,
    plan: Plan,
    /// What the pump did when it was first read: what automatic wants.
    found_running: Option<bool>,
    switch: Option<Switch>,
    set_point: Option<SetPoint>,
    clear: Option<Clear>,
    mode_change: Option<Ticket>,
    start_failed: Option<String>,
    thresholds: Vec<(&'static str, f64)>,
    released_until: Option<Instant>,
    status: ChillerStatus,
    effects: VecDeque<Effect<Saved>>,
}

impl Chiller {
    /// A controller that has not asked anything yet.
    #[must_use]
    pub fn new(settings: ControllerSettings, memory: Memory, now: Now) -> Self {
        let mode_lost = memory == Memory::Lost;
        let saved = match memory {
            Memory::Kept(saved) => saved,
            Memory::First(mode) => Saved { mode, request: None, since: None, by: None },
            Memory::Lost => Saved { mode: Mode::Manual, request: None, since: None, by: None },
        };
        Self {
            plan: Plan::new(settings.query_delay, now.instant),
            settings,
            saved,
            mode_lost,
            mode_not_saved: false,
            unit: Unit::default(),
            connected: false,
            found_running: None,
            switch: None,
            set_point: None,
            clear: None,
            mode_change: None,
            start_failed: None,
            thresholds: Vec::new(),
            released_until: None,
            status: ChillerStatus::Offline,
            effects: VecDeque::new(),
        }
    }

    fn answer(&mut self, ticket: Option<Ticket>, outcome: Outcome) {
        if let Some(ticket) = ticket {
            self.effects.push_back(Effect::Answer(ticket, outcome));
        }
    }

    /// Whether the unit is to run now.
    fn requested(&self) -> Option<bool> {
        match self.saved.mode {
            Mode::Manual => self.saved.request,
            Mode::Automatic => self.wanted_by_automatic(),
        }
    }

    fn wanted_by_automatic(&self) -> Option<bool> {
        self.found_running
    }

    fn is_released(&self) -> bool {
        self.released_until.is_some()
    }

    /// The work that has a waiting ticket ends, because another command overrides it.
    fn override_running(&mut self, by: &Identity, verb: &str) {
        let outcome = Outcome::stopped(by, verb);
        let set_point = self.set_point.take().map(|work| work.ticket);
        let clear = self.clear.take().and_then(|work| work.ticket);
        // A start goes on without its ticket: whether it is still wanted is decided elsewhere.
        let switch = self.switch.as_mut().and_then(|work| work.ticket.take());
        let mode = self.mode_change.take();
        for ticket in [set_point, clear, switch, mode] {
            self.answer(ticket, outcome.clone());
        }
    }

    fn set_mode(&mut self, mode: Mode, ticket: Ticket, now: Now) {
        self.override_running(&ticket.by, "mode");
        self.mode_lost = false;
        if mode == self.saved.mode {
            let message = format!("{} already, since {}", word(mode), since(self.saved.since));
            return self.answer(Some(ticket), Outcome::succeeded(message));
        }
        // Switching to manual never turns the unit off: the request is what it does, or is about to.
        let request = self.switch.as_ref().map(|switch| switch.on).or(self.unit.pump_on());
        self.saved = Saved {
            mode,
            request: request.filter(|_| mode == Mode::Manual),
            since: Some(now.utc),
            by: Some(ticket.by.clone()),
        };
        self.mode_change = Some(ticket);
        self.start_failed = None;
        self.effects.push_back(Effect::Save(self.saved.clone()));
        self.steer(now);
    }

    fn set_enabled(&mut self, on: bool, ticket: Ticket, now: Now) {
        self.override_running(&ticket.by, "enabled");
        self.saved.request = Some(on);
        self.start_failed = None;
        self.effects.push_back(Effect::Save(self.saved.clone()));
        let reached = self.unit.status().is_some_and(|status| is_reached(on, status));
        if reached && self.switch.is_none() {
            let message = format!("{} already", if on { "running" } else { "off" });
            return self.answer(Some(ticket), Outcome::succeeded(message));
        }
        self.switch = Some(Switch::new(on, Some(ticket), now.instant, self.settings.start_deadline));
    }

    fn release(&mut self, minutes: f64, ticket: Ticket, now: Now) {
        self.override_running(&ticket.by, "release");
        if minutes <= 0.0 {
            let message = if self.is_released() { "polling again" } else { "it was not released" };
            self.end_release(now);
            return self.answer(Some(ticket), Outcome::succeeded(message));
        }
        self.released_until = Some(now.instant + Duration::from_secs_f64(minutes * 60.0));
        self.switch = None;
        self.connected = false;
        self.unit.forget();
        self.effects.push_back(Effect::Pause(true));
        let message = format!("not polled for {minutes} min: the keypad unlocks within 10 s");
        self.answer(Some(ticket), Outcome::succeeded(message));
    }

    fn end_release(&mut self, now: Now) {
        if self.released_until.take().is_some() {
            self.plan.restart(now.instant);
            self.effects.push_back(Effect::Pause(false));
            self.effects.push_back(Effect::Publish);
        }
    }

    /// Brings the unit to what automatic control wants. In manual nothing moves without a command.
    fn steer(&mut self, now: Now) {
        let (Some(status), Some(wanted)) = (self.unit.status(), self.requested()) else { return };
        if self.saved.mode == Mode::Manual || self.is_released() || self.clear.is_some() {
            return;
        }
        let blocked = status.alarm || matches!(status.unit_mode, UnitMode::Safety | UnitMode::Test);
        let under_way = self.switch.as_ref().is_some_and(|switch| switch.on == wanted);
        if status.pump_on != wanted && !under_way && !blocked && self.start_failed.is_none() {
            self.switch = Some(Switch::new(wanted, None, now.instant, self.settings.start_deadline));
        }
    }

    fn take_status(&mut self, status: Status, now: Now) {
        if self.found_running.is_none() {
            self.found_running = Some(status.pump_on);
            if self.saved.mode == Mode::Manual && self.saved.request.is_none() {
                self.saved.request = Some(status.pump_on);
            }
        }
        if status.pump_on {
            self.start_failed = None;
        }
        if let Some(switch) = &self.switch {
            let alarm = status.alarm || status.unit_mode == UnitMode::Safety;
            if switch.is_sent() && is_reached(switch.on, status) {
                let took = now.instant.since(switch.since).as_secs_f64();
                let done = if switch.on { "running" } else { "off" };
                let outcome = Outcome::succeeded(format!("{done} after {took:.1} s"));
                let ticket = self.switch.take().and_then(|switch| switch.ticket);
                self.answer(ticket, outcome);
            } else if switch.is_sent() && switch.on && alarm {
                let message = format!("the unit has an alarm{}", self.alarms_in_words());
                self.fail_switch(Outcome::failed(Code::Alarm, message.clone()), message, now);
            }
        }
        self.steer(now);
    }

    fn alarms_in_words(&self) -> String {
        let names = self.unit.alarm_names();
        if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
    }

    fn fail_switch(&mut self, outcome: Outcome, why: String, _now: Now) {
        let Some(switch) = self.switch.take() else { return };
        let what = if switch.on { "start" } else { "stop" };
        let message = format!("the unit did not {what}: {why}");
        self.effects.push_back(Effect::Happened(
            Happening::new(EventKind::Transition, Severity::Error, message).because(format!("{what}_failed")),
        ));
        if switch.on {
            self.start_failed = Some(why);
        }
        self.answer(switch.ticket, outcome);
    }

    fn switch_overdue(&mut self, now: Now) {
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
        self.fail_switch(Outcome::failed(Code::Failed, why.clone()), why, now);
    }

    fn end_clear(&mut self) {
        let Some(clear) = self.clear.take() else { return };
        let outcome = if self.unit.has_alarm() {
            Outcome::failed(Code::Alarm, format!("the alarm is still there{}", self.alarms_in_words()))
        } else {
            Outcome::succeeded("no alarm; the unit is in standby")
        };
        self.answer(clear.ticket, outcome);
    }

    fn set_point_read(&mut self, temperature: Temperature) {
        let Some(work) = self.set_point.take() else { return };
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
    fn work_refused(&mut self, request: &Request, refusal: &str, now: Now) {
        match request {
            Request::SetRunning(_) if self.clear.is_none() && self.switch.is_some() => {
                let message = format!("the unit refuses: {refusal}");
                self.fail_switch(Outcome::failed(Code::Failed, message.clone()), message, now);
            }
            Request::SetTemperature(_) => {
                if let Some(work) = self.set_point.take() {
                    let celsius = work.temperature.celsius();
                    let message = format!("the unit refuses {celsius:.1} °C: {refusal}");
                    self.answer(Some(work.ticket), Outcome::failed(Code::Failed, message));
                }
            }
            Request::ReadSetTemperature => {
                if let Some(work) = self.set_point.take() {
                    let message = format!("the unit does not say its set point: {refusal}");
                    self.answer(Some(work.ticket), Outcome::failed(Code::Failed, message));
                }
            }
            _ => {}
        }
        if self.clear.as_mut().is_some_and(|clear| clear.answered(request, now.instant)) {
            self.end_clear();
        }
    }

    fn accepted(&mut self, request: &Request, now: Now) {
        match request {
            Request::SetRunning(on) => {
                if self.clear.is_some() {
                    if self.saved.mode == Mode::Manual && self.saved.request != Some(false) {
                        self.saved.request = Some(false);
                        self.effects.push_back(Effect::Save(self.saved.clone()));
                    }
                } else if let Some(switch) = self.switch.as_mut().filter(|switch| switch.on == *on) {
                    switch.accepted(now.instant);
                }
            }
            Request::SetTemperature(_) => {
                if let Some(work) = &mut self.set_point {
                    work.accepted();
                }
            }
            _ => {}
        }
    }

    fn take_threshold(&mut self, request: &Request, reply: Reply) {
        let (Request::ReadThreshold(threshold), Some(value)) = (request, value(reply)) else { return };
        self.thresholds.push((state::threshold_name(*threshold), value));
        if self.thresholds.len() == plan::THRESHOLDS.len() {
            let mut happening =
                Happening::new(EventKind::Link, Severity::Info, "the unit's warning and alarm thresholds");
            for (name, value) in self.thresholds.drain(..) {
                happening = happening.with(name, value);
            }
            self.effects.push_back(Effect::Happened(happening.because("thresholds")));
        }
    }

    /// Tells of a change of status, and by that of everything that leads to one.
    fn note_status(&mut self, now: Now) {
        let status = self.current_status(now.instant);
        if status == self.status {
            return;
        }
        let from = std::mem::replace(&mut self.status, status);
        let reason = self.reason();
        let message = format!("{} -> {} ({reason})", state::word(from), state::word(status));
        let severity = match status {
            ChillerStatus::Offline | ChillerStatus::Fault => Severity::Warning,
            _ => Severity::Info,
        };
        let happening = Happening::new(EventKind::Transition, severity, message)
            .because(reason)
            .with("from", state::word(from))
            .with("to", state::word(status));
        self.effects.push_back(Effect::Happened(happening));
        self.effects.push_back(Effect::Publish);
    }
}

impl Controller for Chiller {
    type Request = Request;
    type Reply = Reply;
    type State = ChillerState;
    type Saved = Saved;

    fn examine(&self, verb: &'static Verb, argument: Argument) -> Result<(), Refusal> {
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
        if verb.name == "enabled" && argument == Argument::Word("on") && status.alarm {
            let message = format!("the unit has an alarm{}: clear it first", self.alarms_in_words());
            return Err(Refusal::new(Code::Alarm, message));
        }
        Ok(())
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        let ticket = command.ticket;
        match (command.verb.name, command.argument) {
            ("mode", Argument::Word("manual")) => self.set_mode(Mode::Manual, ticket, now),
            ("mode", Argument::Word(_)) => self.set_mode(Mode::Automatic, ticket, now),
            ("enabled", Argument::Word(word)) => self.set_enabled(word == "on", ticket, now),
            ("setpoint", Argument::Number(celsius)) => match Temperature::from_celsius(celsius) {
                Some(temperature) => self.set_point = Some(SetPoint::new(temperature, ticket)),
                None => {
                    let message = format!("{celsius} °C cannot be said to the unit");
                    self.answer(Some(ticket), Outcome::failed(Code::OutsideLimits, message));
                }
            },
            ("clear_alarms", _) if !self.unit.has_alarm() => {
                self.answer(Some(ticket), Outcome::succeeded("there is no alarm"));
            }
            ("clear_alarms", _) => {
                self.switch = None;
                self.clear = Some(Clear::new(Some(ticket)));
            }
            ("release", Argument::Number(minutes)) => self.release(minutes, ticket, now),
            (verb, argument) => {
                let message = format!("the chiller has no way to run {verb} with {argument:?}");
                self.answer(Some(ticket), Outcome::failed(Code::Failed, message));
            }
        }
        self.note_status(now);
    }

    fn handle_input(&mut self, _input: Input<'_>, _now: Now) {}

    fn handle_reply(&mut self, request: Request, reply: Result<Reply, String>, now: Now) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(refusal) => {
                self.unit.refused(&request);
                self.work_refused(&request, &refusal, now);
                self.effects.push_back(Effect::Publish);
                self.note_status(now);
                return;
            }
        };
        // An answer that was under way when the unit was released counts no longer.
        if self.is_released() {
            return;
        }
        self.connected = true;
        self.unit.take(&request, reply, now);
        self.take_threshold(&request, reply);
        match reply {
            Reply::Accepted => self.accepted(&request, now),
            Reply::Temperature(temperature) if request == Request::ReadSetTemperature => {
                self.set_point_read(temperature);
            }
            _ => {}
        }
        if self.clear.as_mut().is_some_and(|clear| clear.answered(&request, now.instant)) {
            self.end_clear();
        }
        if let Reply::Status(status) = reply {
            self.take_status(status, now);
        }
        self.note_status(now);
    }

    fn handle_link(&mut self, change: LinkChange, now: Now) {
        let LinkChange::Lost { reason } = change else { return };
        self.connected = false;
        self.unit.forget();
        self.thresholds.clear();
        self.plan.restart(now.instant);
        let outcome = Outcome::failed(Code::NotConnected, format!("the chiller no longer answers: {reason}"));
        let set_point = self.set_point.take().map(|work| work.ticket);
        let clear = self.clear.take().and_then(|work| work.ticket);
        let switch = self.switch.take().and_then(|work| work.ticket);
        for ticket in [set_point, clear, switch] {
            self.answer(ticket, outcome.clone());
        }
        self.note_status(now);
    }

    fn handle_saved(&mut self, result: Result<(), String>, _now: Now) {
        self.mode_not_saved = result.is_err();
        let ticket = self.mode_change.take();
        let outcome = match (result, self.saved.mode) {
            (Ok(()), mode) => Outcome::succeeded(word(mode)),
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
        self.effects.push_back(Effect::Publish);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.switch_overdue(now);
        if self.released_until.is_some_and(|until| now.instant >= until) {
            self.end_release(now);
        }
        self.note_status(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if let Some(until) = self.released_until {
            return Some(until);
        }
        let switch = self.switch.as_ref().map(Switch::poll_timeout);
        let clear = self.clear.as_ref().and_then(Clear::poll_timeout);
        [switch, clear, self.plan.poll_timeout(), self.status_timeout()].into_iter().flatten().min()
    }

    fn poll_request(&mut self, now: Now) -> Option<Request> {
        if self.is_released() {
            return None;
        }
        if !self.connected {
            // The first question after a silence is the cheapest; it also feeds the unit's watchdog.
            return self.plan.next(now.instant);
        }
        let at = now.instant;
        self.clear
            .as_mut()
            .and_then(|clear| clear.poll_request(at))
            .or_else(|| self.set_point.as_mut().and_then(SetPoint::poll_request))
            .or_else(|| self.switch.as_mut().and_then(|switch| switch.poll_request(at)))
            .or_else(|| self.plan.next(at))
    }

    fn poll_effect(&mut self) -> Option<Effect<Saved>> {
        self.effects.pop_front()
    }

    fn concerns(&self) -> Vec<Concern> {
        self.all_concerns()
    }

    fn state(&self, common: bridge::controller::Common, now: Now) -> ChillerState {
        self.published(common, now)
    }
}

/// Run means that the unit says so and pumps; standby, that the pump is off.
fn is_reached(on: bool, status: Status) -> bool {
    if on { status.unit_mode == UnitMode::Run && status.pump_on } else { !status.pump_on }
}

fn value(reply: Reply) -> Option<f64> {
    match reply {
        Reply::Temperature(temperature) => Some(temperature.celsius()),
        Reply::Flow(flow) => Some(flow.litres_per_minute()),
        _ => None,
    }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Automatic => "automatic",
        Mode::Manual => "manual",
    }
}

fn since(date: Option<Utc>) -> String {
    date.map_or_else(|| "the start".to_owned(), |date| date.to_string())
}
