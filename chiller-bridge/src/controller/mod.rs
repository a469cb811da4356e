//! The decisions of the chiller's bridge: which request is next, whether the unit should run, and
//! how every command ends. Pure: time is an argument.
//!
//! ```text
//!  offline --valid reply--> idle <--> starting --> cooling | heating | circulating --> stopping --> idle
//!     any --alarm, safety, start not done--> fault     any --test mode--> service     --release--> released
//! ```

mod alarms;
mod automatic;
mod commands;
mod conditions;
mod contact;
pub mod decision;
pub mod frost;
mod held;
pub mod inputs;
pub mod memory;
mod plan;
pub mod rules;
mod set_point;
mod state;
mod steer;
pub mod summary;
#[cfg(test)]
mod tests;
mod unit;
mod work;

use std::collections::VecDeque;
use std::time::Duration;

use bridge::controller::{Command, Condition, Controller, DeviceRefusal, Effect, Facts, Input, LinkChange};
use bridge::store::StoreError;
use bus::clock::{Instant, Now};
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::Verb;
use bus::message::{Code, EventBody, EventKind, Severity};
use chiller_device::{ChillerState, ChillerStatus};

use crate::protocol::{Reply, Request, Threshold};
use alarms::AlarmWatch;
use automatic::{Cooling, Site};
use contact::Contact;
use inputs::{DomeSettings, PowerSettings};
use memory::Notes;
pub use memory::{Memory, Saved};
use rules::Rules;
use set_point::SetPointWatch;
use steer::Trials;
use unit::Unit;
use work::Work;

/// The controller's settings.
#[derive(Clone, Debug)]
pub struct ControllerSettings {
    /// Period of the quick poll set.
    pub query_delay: Duration,
    /// How long the unit may take to start or stop.
    pub start_deadline: Duration,
    /// Flow below which cameras are not cooled, l/min.
    pub min_flow: f64,
    /// The parameters of automatic control.
    pub rules: Rules,
    /// Where camera power is published; without it no camera is known.
    pub power: Option<PowerSettings>,
    /// Where the dome's temperature is published.
    pub dome: Option<DomeSettings>,
    /// Whether automatic control tries again after an alarm that the unit no longer has.
    pub alarm_retry: bool,
    /// After this time in manual mode an attention is raised.
    pub manual_long: Duration,
    /// Lowest and highest set point, in degrees Celsius.
    pub setpoint_limits: (f64, f64),
    /// Whether to set the commanded set point again after the unit has restarted with another one.
    pub restore_setpoint: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Chiller {
    settings: ControllerSettings,
    started: Now,
    /// What survives a restart.
    notes: Notes,
    /// The last readings of the unit.
    unit: Unit,
    /// Whether it answers, and which query is next.
    contact: Contact,
    /// The inputs, and the decision of automatic control.
    site: Site,
    /// The work in progress on the unit.
    work: Work,
    trials: Trials,
    alarm_watch: AlarmWatch,
    set_points: SetPointWatch,
    cooling: Cooling,
    /// The last published status.
    status: ChillerStatus,
    effects: VecDeque<Effect<Request, Saved>>,
}

impl Chiller {
    /// A controller that has not asked anything yet.
    #[must_use]
    pub fn new(settings: ControllerSettings, memory: Memory, now: Now) -> Self {
        let notes = Notes::new(memory, now);
        Self {
            site: Site::new(&settings, notes.saved.frost.is_some(), now),
            contact: Contact::new(settings.query_delay, now),
            settings,
            started: now,
            notes,
            unit: Unit::default(),
            work: Work::default(),
            trials: Trials::default(),
            alarm_watch: AlarmWatch::default(),
            set_points: SetPointWatch::default(),
            cooling: Cooling::default(),
            status: ChillerStatus::Offline,
            effects: VecDeque::new(),
        }
    }

    fn answer(&mut self, ticket: Option<Ticket>, outcome: Outcome) {
        if let Some(ticket) = ticket {
            self.effects.push_back(Effect::Answer(ticket, outcome));
        }
    }

    fn emit(&mut self, body: EventBody) {
        self.effects.push_back(Effect::Event(body));
    }

    fn save(&mut self) {
        self.notes.is_writing = true;
        self.effects.push_back(Effect::Save(self.notes.saved.clone()));
    }

    fn take_threshold(&mut self, threshold: Threshold, reply: Reply) {
        let Some(thresholds) = value(reply).and_then(|value| self.contact.take_threshold(threshold, value))
        else {
            return;
        };
        let words = thresholds.iter().map(|(threshold, value)| {
            let unit = if threshold.is_flow() { " l/min" } else { "°C" };
            format!("{} {value:.1}{unit}", state::threshold_name(*threshold).replace('_', " "))
        });
        let message = format!("the unit's thresholds: {}", words.collect::<Vec<_>>().join(", "));
        let body = EventBody::new(EventKind::Link, Severity::Info, message).because("thresholds");
        let body = thresholds
            .into_iter()
            .fold(body, |body, (threshold, value)| body.with(state::threshold_name(threshold), value));
        self.emit(body);
    }

    /// After every event: decide, steer, and detect changes.
    fn follow_up(&mut self, now: Now) {
        self.decide(now);
        self.steer(now);
        self.restore_set_point();
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
        self.contact.nothing_is_out();
        // A reply that was pending when the unit was released does not count.
        if self.contact.is_released() {
            return;
        }
        self.contact.answered(&request);
        match &reply {
            Ok(reply) => {
                self.unit.take(&request, *reply, now);
                if let Request::ReadThreshold(threshold) = request {
                    self.take_threshold(threshold, *reply);
                }
                self.work_answered(&request, *reply, now);
            }
            Err(refusal) => {
                self.unit.refused(&request, &refusal.0);
                self.work_refused(&request, refusal, now);
                self.effects.push_back(Effect::Publish);
            }
        }
        if self.work.clear.as_mut().is_some_and(|clear| clear.answered(&request, now.instant)) {
            self.end_clear();
        }
        if let Ok(Reply::Status(status)) = reply {
            self.take_status(status, now);
        }
        self.note_alarms(now);
        self.follow_up(now);
    }

    fn handle_link(&mut self, change: LinkChange, now: Now) {
        let LinkChange::Lost { reason } = change else { return };
        let outcome = Outcome::failed(Code::NotConnected, format!("the chiller no longer answers: {reason}"));
        self.contact.lost(reason, now.instant);
        self.unit.forget();
        self.trials.disown_pump();
        // An order that the unit does not even acknowledge would be sent again after every
        // reconnect.
        let is_unanswered = self.work.switch.as_ref().is_some_and(|switch| {
            let order = &switch.order;
            order.ticket.is_none() && order.is_sent() && !order.is_acknowledged()
        });
        if is_unanswered {
            self.switch_failed(Code::NotConnected, "it did not answer the order".to_owned(), now);
        }
        if self.work.clear.is_some() {
            self.alarm_watch.was_read = false;
        }
        self.set_point_given_up();
        for ticket in self.work.give_up() {
            self.answer(Some(ticket), outcome.clone());
        }
        self.follow_up(now);
    }

    fn handle_saved(&mut self, result: Result<(), StoreError>, now: Now) {
        self.notes.written(result.is_ok());
        self.restoring_is_saved(result.is_ok(), now);
        self.answer_saved(result.as_ref().err().map(ToString::to_string).as_deref());
        self.mode_saved(result);
        self.effects.push_back(Effect::Publish);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.switch_overdue(now);
        self.set_point_overdue(now);
        self.mode_change_overdue(now);
        self.saving_overdue(now);
        if self.contact.released().is_some_and(|released| now.instant >= released.until) {
            self.end_release(now);
        }
        self.follow_up(now);
    }

    fn handle_absence(&mut self, time: Duration, _now: Now) {
        let given_up = self.work.unheard();
        if !given_up.is_empty() {
            self.set_point_given_up();
            self.work.drop_unheard();
        }
        for ticket in given_up {
            let message = format!(
                "the bridge itself did not run for {:.0} s, and the unit has not acknowledged the order: it is not \
                 sent again",
                time.as_secs_f64()
            );
            self.answer(Some(ticket), Outcome::failed(Code::NotConnected, message));
        }
        self.work.was_absent(time);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let own = [
            self.site.decider.poll_timeout(),
            self.site.shown.stale_at,
            self.work.mode_change_limit(),
            self.work.saving_limit(),
        ];
        let unit = match self.contact.released() {
            Some(released) => [Some(released.until), None, None, None, None, None],
            None => [
                self.contact.next_question(self.work.next_question()),
                self.work.next_deadline(),
                self.trials.poll_timeout(),
                self.alarm_watch.retry_at,
                self.status_timeout(),
                self.cooling.poll_timeout(self.settings.start_deadline),
            ],
        };
        own.into_iter().chain(unit).flatten().min()
    }

    fn poll_request(&mut self, now: Now) -> Option<Request> {
        if self.contact.is_released() {
            return None;
        }
        // Reading the alarms clears the unit's own latch, so our latch must be on the disk first.
        let may_clear = !self.notes.not_saved;
        let work =
            if self.contact.is_connected() { self.work.poll_request(may_clear, now.instant) } else { None };
        let request = work.or_else(|| self.contact.next_reading(now.instant));
        self.contact.asks(request.as_ref());
        request
    }

    fn poll_order(&mut self, now: Now) -> Option<Request> {
        if !self.contact.is_connected() || self.contact.is_released() {
            return None;
        }
        let order = self.work.poll_order(now.instant);
        if order.is_some() {
            self.contact.asks(order.as_ref());
        }
        order
    }

    fn is_wanted(&self, request: &Request) -> bool {
        self.is_still_wanted(request)
    }

    fn poll_effect(&mut self) -> Option<Effect<Request, Saved>> {
        self.effects.pop_front()
    }

    /// The pump runs on; an order of automatic control is no command, and the next process would
    /// not know of it.
    fn may_hand_over(&self) -> bool {
        self.work.is_done()
    }

    fn conditions(&self, now: Now) -> Vec<Condition> {
        self.all_conditions(now)
    }

    fn facts(&self, now: Now) -> Facts {
        let status = self.current_status(now.instant);
        Facts {
            status: status.word(),
            reason: self.reason(),
            summary: summary::summary(&self.situation(now)),
            date: self.unit.date(),
            connected: self.contact.is_connected(),
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
