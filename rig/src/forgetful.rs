//! A controller that loses commands: it executes them, but never answers a request whose id begins
//! with `lost`.

use std::marker::PhantomData;
use std::time::Duration;

use bridge::controller::{
    Command, Condition, Controller, DeviceRefusal, Effect, Facts, Input, LinkChange, Quantity,
};
use bridge::instrument::{Configured, Instrument};
use bridge::store::{Loaded, StoreError};
use bus::clock::{Instant, Now};
use bus::command::{Arguments, Refusal, Ticket};
use bus::device::{Description, Verb};
use serde_json::Value;

/// See the module.
#[derive(Debug)]
pub(crate) struct Forgetful<C>(pub(crate) C);

/// An instrument with such a controller.
pub(crate) struct Forgets<I>(PhantomData<I>);

impl<I: Instrument> Instrument for Forgets<I> {
    const DESCRIPTION: &'static Description = I::DESCRIPTION;

    type Settings = I::Settings;
    type Saved = I::Saved;
    type Controller = Forgetful<I::Controller>;
    type Protocol = I::Protocol;

    fn configured(settings: &I::Settings) -> Configured {
        I::configured(settings)
    }

    fn protocol(settings: &I::Settings) -> I::Protocol {
        I::protocol(settings)
    }

    fn controller(settings: &I::Settings, left: Loaded<I::Saved>, now: Now) -> Self::Controller {
        Forgetful(I::controller(settings, left, now))
    }
}

fn is_lost(ticket: &Ticket) -> bool {
    ticket.id.as_ref().is_some_and(|id| id.as_str().starts_with("lost"))
}

impl<C: Controller> Controller for Forgetful<C> {
    type Request = C::Request;
    type Reply = C::Reply;
    type State = C::State;
    type Saved = C::Saved;

    fn poll_effect(&mut self) -> Option<Effect<C::Request, C::Saved>> {
        loop {
            match self.0.poll_effect() {
                Some(Effect::Answer(ticket, _)) if is_lost(&ticket) => {}
                effect => return effect,
            }
        }
    }

    fn examine(&self, verb: &'static Verb, arguments: &Arguments) -> Result<Option<Duration>, Refusal> {
        self.0.examine(verb, arguments)
    }

    fn prepare(&mut self, command: &Command, now: Now) {
        self.0.prepare(command, now);
    }

    fn withdraw(&mut self, ticket: &Ticket, now: Now) {
        self.0.withdraw(ticket, now);
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        self.0.handle_command(command, now);
    }

    fn handle_input(&mut self, input: Input<'_>, now: Now) {
        self.0.handle_input(input, now);
    }

    fn handle_reply(&mut self, request: C::Request, reply: Result<C::Reply, DeviceRefusal>, now: Now) {
        self.0.handle_reply(request, reply, now);
    }

    fn handle_link(&mut self, change: LinkChange, now: Now) {
        self.0.handle_link(change, now);
    }

    fn handle_saved(&mut self, result: Result<(), StoreError>, now: Now) {
        self.0.handle_saved(result, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.0.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn poll_request(&mut self, now: Now) -> Option<C::Request> {
        self.0.poll_request(now)
    }

    fn poll_order(&mut self, now: Now) -> Option<C::Request> {
        self.0.poll_order(now)
    }

    fn is_wanted(&self, request: &C::Request) -> bool {
        self.0.is_wanted(request)
    }

    fn handle_absence(&mut self, time: Duration, now: Now) {
        self.0.handle_absence(time, now);
    }

    fn handle_shutdown(&mut self, now: Now) {
        self.0.handle_shutdown(now);
    }

    fn is_at_rest(&self) -> bool {
        self.0.is_at_rest()
    }

    fn may_hand_over(&self) -> bool {
        self.0.may_hand_over()
    }

    fn conditions(&self, now: Now) -> Vec<Condition> {
        self.0.conditions(now)
    }

    fn facts(&self, now: Now) -> Facts {
        self.0.facts(now)
    }

    fn state(&self, now: Now) -> C::State {
        self.0.state(now)
    }

    fn quantities(&self) -> Vec<Quantity> {
        self.0.quantities()
    }

    fn status_word(&self) -> &'static str {
        self.0.status_word()
    }

    fn details(&self) -> Vec<(&'static str, Value)> {
        self.0.details()
    }
}
