//! The decisions of a bridge's session with the broker: when to connect, what to prove first, what
//! to send next, what not to trust, and how to disconnect. Pure: events in, outputs out; the caller
//! provides the connection and the time.
//!
//! It decides nothing about commands. Delivery has one owner: everything that the broker has not
//! acknowledged is in the [`Outbox`]. Only [`Machine::handle`] shows that the session's own task is
//! being scheduled, and must be called several times a second; the methods that the bridge calls do
//! not show it. After a gap longer than the stall guard, buffered messages are not trusted.

mod connecting;
mod farewell;
mod terms;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

pub use terms::{
    Event, FilterRefused, MachineSettings, Number, Output, PAYLOAD_LIMIT, Refusal, SessionEvent,
    payload_limit,
};

use super::retry::{Cause, Retry};
use super::round_trip::RoundTrip;
use crate::clock::Instant;
use crate::incoming::Incoming;
use crate::outbox::{Message, Outbox, Token};
use crate::probe::wills::{ARRIVES_WITHIN, Wills};
use crate::probe::{Ping, Probe, TimeoutResult, VERDICT_WITHIN, Verdict};

/// A publish that waits longer than this for its PUBACK shows that the broker hung.
const PUBACK_LIMIT: Duration = Duration::from_secs(2);
const SUBACK_LIMIT: Duration = Duration::from_secs(5);
/// After a stall: how long to drain the buffers, and the silence that ends this.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
const DRAIN_SILENCE: Duration = Duration::from_millis(50);
/// How long a broker that hangs keeps the connection: a stop that somebody publishes meanwhile goes
/// to this connection or to none.
const BROKER_HANG_LIMIT: Duration = Duration::from_secs(4);
const FAREWELL_LIMIT: Duration = Duration::from_millis(1500);
/// Limit of messages that are kept until the SUBACK: the stored ones, and a few more.
const EARLY_LIMIT: usize = 256;

/// ```text
///  Waiting --time--> Connecting --CONNACK--> Subscribing --SUBACK--> Serving
///     ^                  | failed, or silent      | lost, refused       | lost
///     ^                  | and others are left    |                     |
///     +------------------+------------------------+---------------------+
///     |                                           +-- stood still --+---+
///     |                                                             v
///     +--- HangingUp <--- silence, if we are back soon --------- Draining
///     +---------------------- silence, if the broker stood ---------+
///
///  Waiting, Connecting, HangingUp --stop--> Ended
///  Subscribing, Serving, Draining --stop--> Parting --offline is heard--> HangingUp --> Ended
///                                              +-------- too late ----------------------> Ended
/// ```
#[derive(Debug)]
enum State {
    /// The next attempt begins then. Attempts at brokers that are silent may be under way.
    Waiting(Instant),
    /// Begun at this time, perhaps beside those.
    Connecting(Instant),
    Subscribing {
        since: Instant,
        until: Instant,
        early: Vec<Incoming>,
    },
    Serving(Probe),
    /// Arriving messages have waited. `back_soon`: the bridge itself hung.
    Draining {
        until: Instant,
        silent_at: Instant,
        back_soon: bool,
    },
    /// Waiting messages are delivered, then `offline` is published.
    Parting {
        until: Instant,
        offline: Farewell,
    },
    /// The DISCONNECT is being sent; then the session ends, or, for this reason, reconnects to the
    /// same broker.
    HangingUp {
        until: Instant,
        lost: Option<String>,
    },
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// Not to be sent: another bridge is online there.
    NotOurs,
    Owed,
    Sent,
    Heard,
}

/// What a publish was for.
#[derive(Debug)]
enum Purpose {
    /// With the topic that the ACL must grant.
    Deliver(Token, String),
    Probe(Ping, u64),
    Farewell,
}

/// A random number from 0 to 1.
pub type RandomSource = Box<dyn FnMut() -> f64 + Send>;

/// See the module.
pub struct Machine {
    settings: MachineSettings,
    random: RandomSource,
    outbox: Outbox,
    outputs: VecDeque<Output>,
    state: State,
    retry: Retry,
    /// Why the brokers of this round have failed, and those that are tried aside.
    failures: BTreeMap<usize, String>,
    wills: Wills,
    round_trip: RoundTrip,
    /// The last sign that the caller is being scheduled.
    alive: Instant,
    nonce: String,
    /// Largest payload that the broker accepts, bytes.
    payload_limit: usize,
    /// Number of replies and events that were larger.
    too_large: u64,
    /// Number of reported connections.
    connections: u64,
    under_way: BTreeMap<Number, (Purpose, Instant)>,
    numbers: Number,
    /// The last refusal, by grant.
    refused: BTreeMap<String, Refusal>,
    reconnect: bool,
    /// Reconnect, for this reason.
    renew: Option<&'static str>,
    /// Whether to publish `offline`.
    stop: Option<bool>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The interface for the bridge.
impl Machine {
    /// A session that is about to connect for the first time.
    #[must_use]
    pub fn new(settings: MachineSettings, mut random: RandomSource, now: Instant) -> Self {
        let brokers = settings.brokers.len();
        let wills = Wills::new(brokers, random());
        let mut machine = Self {
            settings,
            random,
            outbox: Outbox::default(),
            outputs: VecDeque::new(),
            state: State::Waiting(now),
            retry: Retry::new(brokers),
            failures: BTreeMap::new(),
            wills,
            round_trip: RoundTrip::default(),
            alive: now,
            nonce: String::new(),
            payload_limit: PAYLOAD_LIMIT,
            too_large: 0,
            connections: 0,
            under_way: BTreeMap::new(),
            numbers: 0,
            refused: BTreeMap::new(),
            reconnect: false,
            renew: None,
            stop: None,
        };
        machine.connect(now);
        machine
    }

    /// Sets a retained topic; the newest value wins.
    pub fn set(&mut self, topic: &str, payload: Vec<u8>, expiry: Option<Duration>) {
        self.outbox.set(topic, payload, expiry);
    }

    /// Queues a reply or an event.
    pub fn push(&mut self, message: Message) {
        self.outbox.push(message);
    }

    /// Allows publishes on the connection that was reported with this number (the first is 1); a
    /// connection that is lost is not opened, nor is the next one.
    pub fn open(&mut self, connection: u64) {
        if connection == self.connections && self.is_serving() {
            self.outbox.open();
        }
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.outbox.clear();
    }

    /// Drops the connection that was reported with this number, after its buffered messages were
    /// taken as stalled, and reconnects.
    pub fn reconnect(&mut self, connection: u64) {
        self.reconnect |= connection == self.connections && self.is_serving();
    }

    /// Closes the connection that was reported with this number, and reconnects with the TLS files
    /// as they are then. Nothing hung, so messages that have arrived are trusted.
    pub fn renew(&mut self, connection: u64) {
        if connection == self.connections && self.is_serving() {
            self.renew = Some("left, to connect with new TLS files");
        }
    }

    /// Ends the session: waiting messages are delivered (for a moment at most), then `offline` is
    /// published if `say_offline`, then the connection is closed.
    pub fn stop(&mut self, say_offline: bool) {
        self.stop.get_or_insert(say_offline);
    }

    /// Number of replies and events that were never sent.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.outbox.dropped() + self.too_large
    }

    /// The round trip to the broker; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip.get()
    }

    /// Whether messages that arrive now are received and trusted.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        matches!(self.state, State::Serving(_))
    }

    /// How long [`Machine::stop`] may take on this link.
    #[must_use]
    pub fn farewell_limit(&self) -> Duration {
        2 * self.round_trip.limit(FAREWELL_LIMIT)
    }
}

/// The interface for the session's own task.
impl Machine {
    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Event::Timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting(until)
            | State::Subscribing { until, .. }
            | State::Parting { until, .. }
            | State::HangingUp { until, .. } => Some(*until),
            State::Serving(probe) => {
                let wills = self.wills.poll_timeout(probe.verdict().is_some_and(Verdict::is_good));
                probe.poll_timeout().into_iter().chain(self.puback_due()).chain(wills).min()
            }
            State::Draining { until, silent_at, .. } => Some((*until).min(*silent_at)),
            State::Connecting(since) => self.retry.head_start().map(|start| *since + start),
            State::Ended => None,
        }
    }

    /// The caller was scheduled until `now`, without an event: for virtual time, which has no
    /// ticks.
    pub fn was_scheduled(&mut self, now: Instant) {
        self.alive = now;
    }

    /// Handles an event, and decides what follows.
    pub fn handle(&mut self, event: Event, now: Instant) {
        let we_stood = now.since(self.alive) > self.settings.stall_guard;
        self.alive = now;
        let connected = matches!(self.state, State::Subscribing { .. } | State::Serving(_));
        let stood_still = connected && (we_stood || self.puback_due().is_some_and(|due| due <= now));
        self.take(event, stood_still, now);
        // The connection may be lost by now.
        let connected = matches!(self.state, State::Subscribing { .. } | State::Serving(_));
        if connected && (stood_still || self.reconnect) {
            self.drain(we_stood || self.reconnect, now);
        } else if connected && let Some(why) = self.renew.take() {
            self.hang_up(Some(why.to_owned()), DRAIN_SILENCE, now);
        }
        self.advance(now);
    }

    fn take(&mut self, event: Event, stood_still: bool, now: Instant) {
        match (event, &mut self.state) {
            (
                Event::Connected { broker, nonce, largest_packet },
                State::Connecting(_) | State::Waiting(_),
            ) => {
                let Some(since) = self.begun(broker) else { return };
                let took = now.since(since);
                self.failures.remove(&broker);
                self.retry.connected(broker, took, now);
                self.round_trip = RoundTrip::default();
                self.nonce = nonce;
                self.payload_limit = payload_limit(largest_packet);
                self.outputs.push_back(Output::Subscribe);
                // Connecting takes more than three round trips: TCP, TLS, CONNACK.
                let until = now + SUBACK_LIMIT.max(took);
                self.state = State::Subscribing { since: now, until, early: Vec::new() };
            }
            (Event::Failed { broker, error, is_answer }, State::Connecting(_) | State::Waiting(_)) => {
                let is_aside = self.retry.aside().any(|aside| aside == broker);
                let Some(since) = self.begun(broker) else { return };
                self.retry.failed(broker, now.since(since), is_answer);
                if is_aside {
                    self.failures.insert(broker, error);
                } else {
                    self.lost(error, if is_answer { Cause::Refused } else { Cause::Nobody }, now);
                }
            }
            (Event::Subscribed(codes), State::Subscribing { since, early, .. }) => {
                let took = now.since(*since);
                let early = std::mem::take(early);
                self.round_trip.note(took);
                self.subscribed(codes, took, now);
                for incoming in early {
                    self.arrived(incoming, stood_still);
                }
            }
            // A broker may deliver messages before the SUBACK; but the bridge must first be told of
            // the connection.
            (Event::Message(incoming), State::Subscribing { early, .. }) if early.len() < EARLY_LIMIT => {
                early.push(incoming);
            }
            (Event::Message(incoming), State::Serving(_)) => self.arrived(incoming, stood_still),
            (Event::Message(incoming), State::Draining { .. }) => {
                self.broker_speaks(now);
                self.report(SessionEvent::Message(Incoming { stalled: true, ..incoming }));
            }
            (Event::Acknowledged { number, refused, at }, _) => {
                self.broker_speaks(now);
                self.acknowledged(number, refused, at);
            }
            (Event::WillLeft { round, left }, State::Serving(_)) => {
                let limit = self.round_trip.limit(ARRIVES_WITHIN);
                let news = self.wills.left(round, left, now, limit);
                self.tell_wills(news);
            }
            (Event::HungUp, State::HangingUp { until, .. }) => *until = now,
            (Event::Broken { error }, State::Subscribing { .. } | State::Serving(_)) => {
                self.lost(error, Cause::Lost, now);
            }
            (Event::Broken { .. }, State::Draining { until, back_soon, .. }) => {
                *until = now;
                *back_soon = false;
            }
            (Event::Broken { .. }, State::HangingUp { until, .. } | State::Parting { until, .. }) => {
                *until = now;
            }
            // Left over from a connection that was abandoned.
            _ => {}
        }
    }

    /// Does everything that is due.
    fn advance(&mut self, now: Instant) {
        loop {
            if let Some(say_offline) = self.stop {
                self.part(say_offline, now);
            }
            match &mut self.state {
                State::Waiting(until) if now >= *until => self.connect(now),
                State::Connecting(since) => {
                    let since = *since;
                    if self.retry.head_start().is_none_or(|start| now < since + start) {
                        return;
                    }
                    self.set_aside(since, now);
                }
                State::Subscribing { until, .. } if now >= *until => {
                    self.outputs.push_back(Output::Drop);
                    self.lost("the broker did not answer the subscription".to_owned(), Cause::Lost, now);
                }
                State::Serving(probe) => {
                    match probe.handle_timeout(now, self.round_trip.limit(VERDICT_WITHIN)) {
                        Some(TimeoutResult::Judged(verdict)) => self.tell_verdict(verdict),
                        Some(TimeoutResult::TryAgain) => self.send_pings(now),
                        None => {}
                    }
                    self.look_at_wills(now);
                    return self.deliver(now);
                }
                State::Draining { until, silent_at, back_soon } if now >= (*until).min(*silent_at) => {
                    let error = "the bridge or the broker had stood still".to_owned();
                    // A DISCONNECT suppresses the will: the bridge is alive, and back in a second.
                    // If the broker hangs, nobody knows when the bridge will be back: then the will
                    // is right.
                    if *back_soon {
                        self.hang_up(Some(error), DRAIN_SILENCE, now);
                    } else {
                        self.outputs.push_back(Output::Drop);
                        self.lost(error, Cause::Lost, now);
                    }
                }
                State::HangingUp { until, lost } if now >= *until => {
                    let lost = lost.take();
                    self.outputs.push_back(Output::Drop);
                    match lost {
                        Some(error) => self.leave(error, now),
                        None => self.end(),
                    }
                }
                State::Parting { .. } => {
                    if !self.say_farewell(now) {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    fn report(&mut self, event: SessionEvent) {
        self.outputs.push_back(Output::Report(event));
    }

    fn subscribed(&mut self, codes: Vec<Result<(), FilterRefused>>, took: Duration, now: Instant) {
        let refused = self.settings.filters.iter().zip(codes).find_map(|(filter, code)| {
            let code = code.err()?;
            Some(format!("the broker refused to subscribe to {filter}: {code}"))
        });
        if let Some(error) = refused {
            self.outputs.push_back(Output::Drop);
            return self.lost(error, Cause::Lost, now);
        }
        self.wills.connected(self.retry.broker(), now);
        self.state = State::Serving(Probe::begin(now, self.round_trip.limit(VERDICT_WITHIN)));
        self.connections += 1;
        self.send_pings(now);
        let broker = self.settings.brokers.get(self.retry.broker()).cloned().unwrap_or_default();
        let instead_of = std::mem::take(&mut self.failures).into_values().collect();
        let payload_limit = self.payload_limit;
        self.report(SessionEvent::Connected { broker, instead_of, round_trip: took, payload_limit });
    }

    fn drain(&mut self, back_soon: bool, now: Instant) {
        self.reconnect = false;
        let (limit, silence) =
            if back_soon { (DRAIN_LIMIT, DRAIN_SILENCE) } else { (BROKER_HANG_LIMIT, BROKER_HANG_LIMIT) };
        let (until, silent_at) = (now + limit, now + silence);
        self.state = State::Draining { until, silent_at, back_soon };
    }

    fn hang_up(&mut self, lost: Option<String>, limit: Duration, now: Instant) {
        self.outputs.push_back(Output::Disconnect);
        self.state = State::HangingUp { until: now + limit, lost };
    }
}
