//! What the daemon decides: what to ask next, and how a command ends. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use bridge::controller::{Command, Controller, DeviceRefusal, Effect, Facts, LinkChange, Quantity};
use bridge::order::{Late, Order, OrderProgress};
use bridge::poll_plan::{Group, Often, PollPlan};
use bus::clock::{Instant, Now, Utc};
use bus::command::{Arguments, Outcome, Refusal};
use bus::device::Verb;
use bus::message::Code;
use thermometer_device::ThermometerState;

use crate::protocol::{Reply, Request};

/// For the heater to be read back as ordered.
pub const LIMIT: Duration = Duration::from_secs(5);

const GROUPS: &[Group<Request>] =
    &[Group { requests: &[Request::ReadTemperature, Request::ReadHeater], often: Often::EachCycle }];

/// See the module.
#[derive(Debug)]
pub struct Thermometer {
    plan: PollPlan<Request>,
    longest_minutes: f64,
    connected: bool,
    date: Option<Utc>,
    temperature: Option<f64>,
    heater_on: Option<bool>,
    /// When the heater is switched off by itself.
    until: Option<Now>,
    order: Option<Order<Request>>,
    effects: VecDeque<Effect<Request, ()>>,
}

impl Thermometer {
    /// A controller that has not asked anything yet.
    #[must_use]
    pub fn new(query_delay: Duration, longest_minutes: f64, now: Now) -> Self {
        Self {
            plan: PollPlan::new(GROUPS, query_delay, now.instant),
            longest_minutes,
            connected: false,
            date: None,
            temperature: None,
            heater_on: None,
            until: None,
            order: None,
            effects: VecDeque::new(),
        }
    }

    /// The order that runs is over.
    fn end(&mut self, outcome: Outcome) {
        if let Some(ticket) = self.order.take().and_then(|order| order.ticket) {
            self.effects.push_back(Effect::Answer(ticket, outcome));
        }
        self.effects.push_back(Effect::Publish);
    }

    /// A value that the device refuses to tell is not known any more.
    fn refused(&mut self, request: &Request, refusal: &DeviceRefusal) {
        self.connected = true;
        match request {
            Request::ReadTemperature => self.temperature = None,
            Request::ReadHeater => self.heater_on = None,
            Request::Switch(_) => {}
        }
        if self.order.as_ref().is_some_and(|order| order.refused(request).is_some()) {
            self.end(Outcome::failed(Code::Failed, refusal.to_string()));
        }
        self.effects.push_back(Effect::Publish);
    }

    fn order(&mut self, on: bool, command: Option<&Command>, now: Now) {
        let ticket = command.map(|command| command.ticket.clone());
        self.order = Some(Order::new(Request::Switch(on), Request::ReadHeater, ticket, now.instant, LIMIT));
    }
}

impl Controller for Thermometer {
    type Request = Request;
    type Reply = Reply;
    type State = ThermometerState;
    type Saved = ();

    fn examine(&self, verb: &'static Verb, _: &Arguments) -> Result<Option<Duration>, Refusal> {
        if verb.name == "heater" && !self.connected {
            return Err(Refusal::new(Code::NotConnected, "the thermometer does not answer"));
        }
        Ok(None)
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        if self.order.is_some() {
            self.end(Outcome::stopped(&command.ticket.by, command.verb.name));
        }
        let minutes = command.arguments.number("minutes").unwrap_or(self.longest_minutes);
        let on = command.arguments.word("heater") == Some("on");
        self.until = on.then(|| now.after(60 * Duration::from_secs_f64(minutes)));
        self.order(on, Some(&command), now);
    }

    fn handle_reply(&mut self, request: Request, reply: Result<Reply, DeviceRefusal>, now: Now) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(refusal) => return self.refused(&request, &refusal),
        };
        self.connected = true;
        self.date = Some(now.utc);
        let agrees = match reply {
            Reply::Temperature(celsius) => {
                self.temperature = Some(celsius);
                None
            }
            Reply::Heater(on) => {
                self.heater_on = Some(on);
                if self.order.is_none() {
                    // Found on, after a restart or by hand: it does not stay on for ever.
                    let latest = now.after(60 * Duration::from_secs_f64(self.longest_minutes));
                    self.until = on.then(|| self.until.unwrap_or(latest));
                }
                self.order.as_ref().map(|order| order.is(&Request::Switch(on)))
            }
        };
        let taken = self.order.as_mut().map(|order| order.take(&request, agrees, now.instant));
        if let Some(OrderProgress::Done(_)) = taken {
            let word = if self.heater_on == Some(true) { "on" } else { "off" };
            self.end(Outcome::succeeded(format!("the heater is {word}")));
        }
        self.effects.push_back(Effect::Publish);
    }

    fn handle_link(&mut self, change: LinkChange, now: Now) {
        if let LinkChange::Lost { reason } = change {
            self.connected = false;
            (self.temperature, self.heater_on) = (None, None);
            self.plan.restart(now.instant);
            self.end(Outcome::failed(Code::NotConnected, format!("it no longer answers: {reason}")));
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if let Some(late) = self.order.as_ref().and_then(|order| order.late(now.instant)) {
            let text = match late {
                Late::NotSent => "there was no time to send it",
                Late::NotAcknowledged => "it did not acknowledge the order",
                Late::NotDone => "the heater is not as it was ordered",
            };
            self.end(Outcome::timed_out(text));
        }
        if self.connected
            && self.order.is_none()
            && self.until.is_some_and(|until| until.instant <= now.instant)
        {
            self.until = None;
            self.order(false, None, now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let order = self.order.as_ref().map(|order| order.deadline);
        let check = self.order.as_ref().and_then(Order::next_check);
        let until = self.until.filter(|_| self.connected).map(|until| until.instant);
        [order, check, until, self.plan.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_request(&mut self, now: Now) -> Option<Request> {
        let order = self.order.as_mut().and_then(|order| order.poll_request(now.instant));
        order.or_else(|| self.plan.poll_request(now.instant))
    }

    fn poll_order(&mut self, _now: Now) -> Option<Request> {
        self.order.as_mut().and_then(Order::poll_order)
    }

    fn is_wanted(&self, request: &Request) -> bool {
        !matches!(request, Request::Switch(_)) || self.order.as_ref().is_some_and(|order| order.is(request))
    }

    fn poll_effect(&mut self) -> Option<Effect<Request, ()>> {
        self.effects.pop_front()
    }

    fn facts(&self, _now: Now) -> Facts {
        let (status, reason, summary) = match (self.connected, self.heater_on, self.until) {
            (false, ..) => ("offline", "link_lost", "it does not answer".to_owned()),
            (true, Some(true), Some(until)) => {
                ("heating", "commanded", format!("heating until {}", until.utc))
            }
            (true, Some(true), None) => ("heating", "commanded", "heating".to_owned()),
            (true, ..) => ("idle", "ready", "measuring; the heater is off".to_owned()),
        };
        Facts { status, reason, summary, date: self.date, connected: self.connected }
    }

    fn state(&self, _now: Now) -> ThermometerState {
        ThermometerState {
            temperature: self.temperature,
            heater_on: self.heater_on,
            heater_until: self.until.map(|until| until.utc),
        }
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity { name: "temperature", unit: "degC", value: self.temperature }]
    }

    fn status_word(&self) -> &'static str {
        match (self.connected, self.heater_on) {
            (false, _) => "offline",
            (true, Some(true)) => "heating",
            (true, _) => "idle",
        }
    }
}
