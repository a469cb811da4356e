//! The bus side of the core: connections, messages, other bridges, and when to announce.

use bus::clock::Now;
use bus::command::Gate;
use bus::incoming::Incoming;
use bus::message::{EventBody, EventKind, Severity};
use bus::probe::Verdict as ProbeVerdict;
use bus::session::bridge::SessionEvent;

use super::publish::Shown;
use super::{Core, Output, SETTLE_LIMIT};
use crate::controller::{Controller, Effect, Input, Protocol};
use crate::rival::Contest;

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    pub(super) fn handle_session(&mut self, event: SessionEvent, now: Now) {
        match event {
            SessionEvent::Connected { broker, instead_of, round_trip, payload_limit } => {
                self.connections += 1;
                self.round_trip = Some(round_trip);
                self.announce_at = Some(now.instant + SETTLE_LIMIT.max(3 * round_trip));
                self.announced = false;
                self.forget_follow_ups();
                self.probe = None;
                self.oversized.connected(payload_limit);
                self.rival.connected(round_trip);
                self.outputs.push_back(Output::ReadCertificates);
                for error in instead_of {
                    tracing::warn!("not the broker's first address: {error}");
                }
                tracing::info!("connected to the broker at {broker}");
            }
            SessionEvent::Judged(verdict) => {
                self.probe = Some(verdict);
                if self.announced {
                    self.set_gate();
                }
                // The loopback arrives after the stored messages.
                self.announce_at = self.announce_at.map(|at| at.min(now.instant));
                self.dirty = true;
            }
            SessionEvent::Message(incoming) => self.handle_message(&incoming, now),
            SessionEvent::Delivered { receipt } => self.desk.delivered(receipt),
            SessionEvent::Lost { error } => {
                // Logged once when it begins, and again when the reason changes.
                let begins = self.announced || self.announce_at.is_some();
                if begins || self.broker_error.as_ref() != Some(&error) {
                    tracing::warn!("no connection to the broker: {error}");
                }
                self.broker_error = Some(error);
                self.dirty = true;
                self.announce_at = None;
                self.announced = false;
                self.forget_follow_ups();
                self.probe = None;
                self.desk.set_gate(Gate::Pending);
                self.controller.handle_broker(false, now);
            }
            SessionEvent::Refused { grant, text } => {
                // The first one is an attention, which is logged by itself.
                if !self.refused.is_empty() {
                    tracing::warn!("{text}");
                }
                self.refused.insert(grant, text);
                self.dirty = true;
            }
            SessionEvent::TakenAgain { grant } => {
                self.refused.remove(&grant);
                if !self.refused.is_empty() {
                    tracing::info!("what is published on {grant} gets through again");
                }
                self.dirty = true;
            }
        }
    }

    pub(super) fn handle_message(&mut self, incoming: &Incoming, now: Now) {
        let base = &self.settings.desk.base;
        if incoming.topic == base.state() {
            match self.rival.heard_state(&incoming.payload, incoming.retain, now.instant) {
                Some(Contest::Stays) => self.yield_to_other(now),
                Some(Contest::Goes) => {
                    self.dirty = true;
                    self.heartbeat = now.instant;
                }
                None => {}
            }
        } else if incoming.topic == base.availability() {
            if self.rival.heard_availability(&incoming.payload, incoming.retain) {
                self.heartbeat = now.instant;
            }
        } else if incoming.topic == base.event() {
            self.rival.heard_event(&incoming.payload, now.instant);
            self.dirty = true;
        } else if base.is_command(&incoming.topic) {
            // While another bridge may be alive, it answers; at the end, the next process does.
            if self.ending.is_none() && (self.announced || self.rival.poll_timeout().is_none()) {
                let controller = &self.controller;
                self.desk.receive(incoming, now, |verb, arguments| controller.examine(verb, arguments));
            }
        } else if let Some(discovery) = &mut self.discovery
            && discovery.is_for(&incoming.topic)
        {
            discovery.hear(incoming, now.instant);
        } else {
            let input = Input { topic: &incoming.topic, payload: &incoming.payload, stored: incoming.retain };
            self.controller.handle_input(input, now);
        }
    }

    /// The connection is another, or gone.
    fn forget_follow_ups(&mut self) {
        self.follow_ups.clear();
        if let Some(discovery) = &mut self.discovery {
            discovery.clear();
        }
    }

    pub(super) fn yield_to_other(&mut self, now: Now) {
        if self.finished {
            return;
        }
        self.finished = true;
        // There is no time to wait for standstill.
        self.controller.handle_shutdown(now);
        while let Some(effect) = self.controller.poll_effect() {
            if let Effect::SendImmediately(request) = effect {
                let bytes = self.protocol.exchange(&request).bytes;
                self.outputs.push_back(Output::SendImmediately(bytes));
            }
        }
        self.outputs.push_back(Output::Clear);
        let (host, process) = (&self.settings.host, self.settings.process);
        let message =
            format!("another bridge runs on these topics: this one ends (host {host}, process {process})");
        self.announced = true;
        let ends = EventBody::new(EventKind::Instance, Severity::Error, message)
            .because("second_instance")
            .with("host", host.as_str())
            .with("process", process);
        self.emit(ends, now);
        self.outputs.push_back(Output::Open(self.connections));
        self.outputs.push_back(Output::Finish { say_offline: false });
    }

    pub(super) fn set_gate(&mut self) {
        let gate = match self.probe {
            None => Gate::Pending,
            Some(ProbeVerdict { acl_ok: Some(false), .. }) => Gate::AclOpen,
            Some(_) => Gate::Ready,
        };
        self.desk.set_gate(gate);
    }

    /// On a new connection: publishes everything again, once it is known that no other bridge is
    /// there. True if the time for that has come.
    pub(super) fn announce(&mut self, now: Now) -> bool {
        if self.announce_at.is_none_or(|at| now.instant < at) || self.rival.settle(now.instant) {
            return false;
        }
        self.announce_at = None;
        self.announced = true;
        self.rival.speaks();
        self.set_gate();
        self.dirty = true;
        self.heartbeat = now.instant;
        self.health_shown = Shown::default();
        self.recent.connected();
        self.follow_ups.begin(now.instant);
        self.controller.handle_broker(true, now);
        if let Some(journal) = self.left.take() {
            self.desk.recover(journal, now);
        }
        true
    }
}
