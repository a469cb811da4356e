//! What the chiller's bridge decides: what to ask next, whether the unit is to run, and how every
//! command ends. Pure: time is an argument.
//!
//! ```text
//!  offline --valid reply--> idle <--> starting --> cooling | heating | circulating --> stopping --> idle
//!     any --alarm, safety, start not done--> fault     any --test mode--> service     --release--> released
//! ```

mod alarms;
mod automatic;
mod commands;
pub mod decision;
pub mod inputs;
mod plan;
mod state;
mod steer;
#[cfg(test)]
mod tests;
mod unit;
mod work;

use std::collections::VecDeque;
use std::time::Duration;

use bridge::controller::{Command, Concern, Controller, DeviceRefusal, Effect, Facts, Input, LinkChange};
use bridge::store::StoreError;
use bus::clock::{Instant, Now, Utc};
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::Verb;
use bus::message::{Code, EventKind, Happening, Severity};
use bus::topic::Identity;
use chiller_device::{ChillerState, ChillerStatus, DESCRIPTION, Mode};
use serde::{Deserialize, Serialize};

use crate::protocol::{Reply, Request};
use alarms::Latch;
use decision::{Decider, Rules};
use inputs::{Dome, DomeSettings, Power, PowerSettings};
use plan::Plan;
use steer::NotDone;
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
    /// The figures of automatic control.
    pub rules: Rules,
    /// Where camera power is published; without it no camera is known.
    pub power: Option<PowerSettings>,
    /// Where the dome's temperature is published.
    pub dome: Option<DomeSettings>,
    /// Whether automatic control tries again after an alarm that the unit no longer has.
    pub alarm_retry: bool,
    /// Manual for so long is worth an attention.
    pub manual_long: Duration,
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
    /// An alarm that nobody has cleared yet.
    pub alarm: Option<Latch>,
}

impl Saved {
    /// Nobody has said anything yet.
    #[must_use]
    pub fn unset(mode: Mode) -> Self {
        Self { mode, request: None, since: None, by: None, alarm: None }
    }
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
    started: Now,
    saved: Saved,
    mode_lost: bool,
    mode_not_saved: bool,
    // The unit.
    unit: Unit,
    connected: bool,
    /// Whether the quick set was read to its end since the link came up.
    unit_read: bool,
    plan: Plan,
    // What others publish, and what follows.
    power: Option<Power>,
    dome: Option<Dome>,
    decider: Decider,
    inputs: automatic::Shown,
    // What is being done.
    switch: Option<Switch>,
    set_point: Option<SetPoint>,
    clear: Option<Clear>,
    mode_change: Option<Ticket>,
    not_done: Option<NotDone>,
    /// Since when the pump runs because automatic control started it, and how often it stopped by
    /// itself soon after.
    started_pump: Option<Instant>,
    drops: usize,
    /// The present alarm has been read by automatic control, which also cleared the unit's latch.
    alarm_read: bool,
    alarm_retries: usize,
    alarm_retry_at: Option<Instant>,
    released: Option<Released>,
    /// Polled again after a release, and no answer yet: nothing was lost.
    resuming: bool,
    // What was shown.
    thresholds: Vec<(&'static str, f64)>,
    status: ChillerStatus,
    uncooled_since: Option<Instant>,
    uncooled: bool,
    effects: VecDeque<Effect<Request, Saved>>,
}

/// The unit is let alone, so that its keypad unlocks.
#[derive(Debug)]
struct Released {
    until: Instant,
    /// What the pump did when it began.
    pump_on: Option<bool>,
    /// The port went away meanwhile.
    lost: bool,
}

impl Chiller {
    /// A controller that has not asked anything yet.
    #[must_use]
    pub fn new(settings: ControllerSettings, memory: Memory, now: Now) -> Self {
        let mode_lost = memory == Memory::Lost;
        let saved = match memory {
            Memory::Kept(saved) => saved,
            Memory::First(mode) => Saved::unset(mode),
            Memory::Lost => Saved::unset(Mode::Manual),
        };
        Self {
            plan: Plan::new(settings.query_delay, now.instant),
            power: settings.power.clone().map(Power::new),
            dome: settings.dome.clone().map(Dome::new),
            decider: Decider::new(settings.rules, now.instant),
            settings,
            started: now,
            saved,
            mode_lost,
            mode_not_saved: false,
            unit: Unit::default(),
            connected: false,
            unit_read: false,
            inputs: automatic::Shown::default(),
            switch: None,
            set_point: None,
            clear: None,
            mode_change: None,
            not_done: None,
            started_pump: None,
            drops: 0,
            alarm_read: false,
            alarm_retries: 0,
            alarm_retry_at: None,
            released: None,
            resuming: false,
            thresholds: Vec::new(),
            status: ChillerStatus::Offline,
            uncooled_since: None,
            uncooled: false,
            effects: VecDeque::new(),
        }
    }

    fn answer(&mut self, ticket: Option<Ticket>, outcome: Outcome) {
        if let Some(ticket) = ticket {
            self.effects.push_back(Effect::Answer(ticket, outcome));
        }
    }

    fn happened(&mut self, happening: Happening) {
        self.effects.push_back(Effect::Happened(happening));
    }

    fn save(&mut self) {
        self.effects.push_back(Effect::Save(self.saved.clone()));
    }

    /// Whether the unit is to run now.
    fn requested(&self) -> Option<bool> {
        match self.saved.mode {
            Mode::Manual => self.saved.request,
            Mode::Automatic => self.wanted_by_automatic(),
        }
    }

    fn wanted_by_automatic(&self) -> Option<bool> {
        self.decider.last().map(|decision| decision.wanted)
    }

    fn is_released(&self) -> bool {
        self.released.is_some()
    }

    /// What was read no longer counts.
    fn forget_unit(&mut self, now: Now) {
        self.connected = false;
        self.unit_read = false;
        self.unit.forget();
        self.thresholds.clear();
        self.plan.restart(now.instant);
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
            self.happened(happening.because("thresholds"));
        }
    }

    /// After every event: decide, steer, and see what changed.
    fn follow_up(&mut self, now: Now) {
        self.decide(now);
        self.steer(now);
        self.note_cooling(now);
        self.note_status(now);
    }

    fn note_status(&mut self, now: Now) {
        self.status = self.current_status(now.instant);
    }
}

impl Controller for Chiller {
    type Request = Request;
    type Reply = Reply;
    type State = ChillerState;
    type Saved = Saved;

    fn examine(&self, verb: &'static Verb, arguments: &Arguments) -> Result<Option<Duration>, Refusal> {
        self.is_possible(verb, arguments).map(|()| None)
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        self.run(command, now);
        self.follow_up(now);
    }

    fn handle_input(&mut self, input: Input<'_>, now: Now) {
        self.take_input(input, now);
        self.follow_up(now);
    }

    fn handle_reply(&mut self, request: Request, reply: Result<Reply, DeviceRefusal>, now: Now) {
        // An answer that was under way when the unit was released counts no longer.
        if self.is_released() {
            return;
        }
        let status = match reply {
            Ok(Reply::Status(status)) => Some(status),
            _ => None,
        };
        match reply {
            Ok(reply) => {
                self.connected = true;
                self.resuming = false;
                self.unit.take(&request, reply, now);
                self.take_threshold(&request, reply);
                self.work_answered(&request, reply, now);
            }
            Err(refusal) => {
                self.unit.refused(&request);
                self.work_refused(&request, &refusal, now);
                self.effects.push_back(Effect::Publish);
            }
        }
        self.unit_read |= Some(&request) == plan::QUICK.last();
        if self.clear.as_mut().is_some_and(|clear| clear.answered(&request, now.instant)) {
            self.end_clear(now);
        }
        if let Some(status) = status {
            self.take_status(status, now);
        }
        self.note_alarms(now);
        self.follow_up(now);
    }

    fn handle_link(&mut self, change: LinkChange, now: Now) {
        let LinkChange::Lost { reason } = change else { return };
        self.resuming = false;
        if let Some(released) = &mut self.released {
            released.lost = true;
        }
        self.forget_unit(now);
        self.started_pump = None;
        let outcome = Outcome::failed(Code::NotConnected, format!("the chiller no longer answers: {reason}"));
        // What the unit does not even acknowledge would be sent again with every new link.
        if self.switch.as_ref().is_some_and(|switch| switch.ticket.is_none() && switch.is_unanswered()) {
            self.switch_failed(Code::NotConnected, "it did not answer the order".to_owned(), now);
        }
        let set_point = self.set_point.take().map(|work| work.ticket);
        if self.clear.is_some() {
            self.alarm_read = false;
        }
        let clear = self.clear.take().and_then(|work| work.ticket);
        let switch = self.switch.take().and_then(|work| work.ticket);
        for ticket in [set_point, clear, switch] {
            self.answer(ticket, outcome.clone());
        }
        self.follow_up(now);
    }

    fn handle_saved(&mut self, result: Result<(), StoreError>, _now: Now) {
        self.mode_saved(result);
        self.effects.push_back(Effect::Publish);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.switch_overdue(now);
        if self.released.as_ref().is_some_and(|released| now.instant >= released.until) {
            self.end_release(now);
        }
        self.follow_up(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let decision = self.decider.poll_timeout();
        let stale = self.inputs.stale_at;
        if let Some(released) = &self.released {
            return [Some(released.until), decision, stale].into_iter().flatten().min();
        }
        let switch = self.switch.as_ref().map(Switch::poll_timeout);
        let clear = self.clear.as_ref().and_then(Clear::poll_timeout);
        let retry = self.not_done.as_ref().and_then(|not_done| not_done.retry_at);
        let own = [
            switch,
            clear,
            retry,
            self.alarm_retry_at,
            self.plan.poll_timeout(),
            self.status_timeout(),
            self.cooling_timeout(),
            decision,
            stale,
        ];
        own.into_iter().flatten().min()
    }

    fn poll_request(&mut self, now: Now) -> Option<Request> {
        let at = now.instant;
        if self.is_released() {
            return None;
        }
        if !self.connected {
            return self.plan.next(at);
        }
        // Reading the alarms ends the unit's own latch: not before ours is on the disk.
        let unsafe_to_clear = self.mode_not_saved;
        self.clear
            .as_mut()
            .filter(|clear| !(unsafe_to_clear && clear.ticket.is_none() && clear.is_in_standby()))
            .and_then(|clear| clear.poll_request(at))
            .or_else(|| self.set_point.as_mut().and_then(SetPoint::poll_request))
            .or_else(|| self.switch.as_mut().and_then(|switch| switch.poll_request(at)))
            .or_else(|| self.plan.next(at))
    }

    fn poll_order(&mut self, now: Now) -> Option<Request> {
        if !self.connected || self.is_released() {
            return None;
        }
        // Clearing goes its steps one by one: once it has begun, nothing comes in between.
        if let Some(clear) = &mut self.clear {
            return if clear.is_out() { None } else { clear.poll_request(now.instant) };
        }
        let set_point = self.set_point.as_mut().filter(|work| !work.is_out());
        set_point.and_then(SetPoint::poll_request).or_else(|| {
            let switch = self.switch.as_mut().filter(|switch| !switch.is_out());
            switch.and_then(|switch| switch.poll_request(now.instant))
        })
    }

    fn is_wanted(&self, request: &Request) -> bool {
        self.is_still_wanted(request)
    }

    fn poll_effect(&mut self) -> Option<Effect<Request, Saved>> {
        self.effects.pop_front()
    }

    // A clean stop leaves the unit as it is.
    fn handle_shutdown(&mut self, _now: Now) {}

    fn is_at_rest(&self) -> bool {
        true
    }

    fn concerns(&self, now: Now) -> Vec<Concern> {
        self.all_concerns(now)
    }

    fn facts(&self, now: Now) -> Facts {
        let status = self.current_status(now.instant);
        Facts {
            status: status.word(),
            reason: self.reason(),
            summary: DESCRIPTION.status_label(status.word()).to_lowercase(),
            date: self.unit.date(),
            connected: self.connected,
        }
    }

    fn state(&self, _now: Now) -> ChillerState {
        self.published()
    }

    fn quantities(&self) -> Vec<bridge::controller::Quantity> {
        self.charted()
    }

    fn status_word(&self) -> &'static str {
        self.status.word()
    }
}

fn value(reply: Reply) -> Option<f64> {
    match reply {
        Reply::Temperature(temperature) => Some(temperature.celsius()),
        Reply::Flow(flow) => Some(flow.litres_per_minute()),
        _ => None,
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Automatic => "automatic",
        Mode::Manual => "manual",
    }
}
