//! A broker and the bridge's session with it, in stepped time: connections that begin and end,
//! retained messages, an ACL, a link that may be slow, and a record of everything that was
//! published.
//!
//! The session is the daemon's own machine; only the broker and the connection are fakes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::incoming::Incoming;
use bus::message::{Event, OFFLINE, Reply};
use bus::outbox::Outgoing;
use bus::probe::wills::Left;
use bus::session::machine::{
    Event as LinkEvent, Machine, MachineSettings, Number, Output, Refusal, SessionEvent,
};
use bus::topic::{Base, Identity};

/// Number of states that are kept; a day has a hundred thousand.
const STATES_KEPT: usize = 5_000;

/// Time to connect, in addition to the delays.
const GREETING: Duration = Duration::from_millis(20);

/// A publication; `order` counts all of them.
#[derive(Clone, Debug)]
pub struct Published<T> {
    /// When it was published.
    pub at: Now,
    /// Its number.
    pub order: u64,
    /// Its content.
    pub what: T,
}

/// Packets on their way to the broker.
#[derive(Debug)]
enum ToBroker {
    Connect,
    Subscribe,
    Publish(Number, Outgoing),
    Disconnect,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Broker {
    base: Base,
    identity: Identity,
    stall_guard: Duration,
    /// These topics are cached because every publication is compared with them.
    state_topic: String,
    event_topic: String,
    availability_topic: String,
    /// The daemon's own session.
    pub(crate) session: Machine,
    reachable: bool,
    /// Maximum Packet Size of its CONNACK.
    pub(crate) largest_packet: Option<u32>,
    /// Delay in one direction.
    pub(crate) latency: Duration,
    /// Timeout of the current attempt to connect; `None` without one.
    attempt_until: Option<Instant>,
    /// The broker has accepted the connection, and does not know that it has ended.
    connected: bool,
    connections: u64,
    to_broker: VecDeque<(Instant, ToBroker)>,
    to_bridge: VecDeque<(Instant, LinkEvent)>,
    /// The topics on which the bridge may not publish, besides the canary.
    pub(crate) refused: BTreeSet<String>,
    /// The retained messages.
    pub(crate) retained: BTreeMap<String, Vec<u8>>,
    inputs: BTreeMap<String, Vec<u8>>,
    /// Events for the core.
    pub(crate) events_in: VecDeque<SessionEvent>,
    orders: u64,
    /// How many states are kept.
    pub(crate) states_kept: usize,
    /// The newest states, oldest first.
    pub(crate) states: VecDeque<Published<Vec<u8>>>,
    /// All replies, by the id of the request: a season has tens of thousands.
    pub(crate) replies: BTreeMap<Option<String>, Vec<Published<Reply>>>,
    /// All events.
    pub(crate) events: Vec<Published<Event>>,
    /// All messages on the availability topic.
    pub(crate) availability: Vec<Published<String>>,
}

fn machine(base: &Base, identity: &Identity, stall_guard: Duration, now: Instant) -> Machine {
    let settings = MachineSettings {
        brokers: vec!["localhost:8883".to_owned()],
        identity: identity.clone(),
        base: base.clone(),
        // The fake broker does not need the filters.
        filters: vec![base.command_filter()],
        stall_guard,
    };
    Machine::new(settings, Box::new(|| 0.5), now)
}

impl Broker {
    pub(crate) fn new(base: Base, stall_guard: Duration, now: Instant) -> Self {
        let identity = Identity::new(&format!("{}-bridge", base.device())).expect("an identity");
        Self {
            state_topic: base.state(),
            event_topic: base.event(),
            availability_topic: base.availability(),
            session: machine(&base, &identity, stall_guard, now),
            base,
            identity,
            stall_guard,
            reachable: true,
            largest_packet: None,
            latency: Duration::ZERO,
            attempt_until: None,
            connected: false,
            connections: 0,
            to_broker: VecDeque::new(),
            to_bridge: VecDeque::new(),
            refused: BTreeSet::new(),
            retained: BTreeMap::new(),
            inputs: BTreeMap::new(),
            events_in: VecDeque::new(),
            orders: 0,
            states_kept: STATES_KEPT,
            states: VecDeque::new(),
            replies: BTreeMap::new(),
            events: Vec::new(),
            availability: Vec::new(),
        }
    }

    /// The bridge was killed: the broker publishes the will, and a new process connects.
    pub(crate) fn bridge_killed(&mut self, now: Now) {
        self.dropped(now);
        self.events_in.clear();
        self.session = machine(&self.base, &self.identity, self.stall_guard, now.instant);
    }

    /// The broker is killed, and loses its retained messages.
    pub(crate) fn down(&mut self, now: Now) {
        self.reachable = false;
        self.retained.clear();
        self.cut();
        // Whichever of the two applies.
        let error = "connection refused".to_owned();
        self.session.handle(LinkEvent::Broken { error: error.clone() }, now.instant);
        self.session.handle(LinkEvent::Failed { broker: 0, error, is_answer: false }, now.instant);
    }

    pub(crate) fn up(&mut self) {
        self.reachable = true;
    }

    /// Number of connections so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections
    }

    /// The broker notices the lost connection, and publishes the will.
    fn dropped(&mut self, now: Now) {
        if self.connected {
            self.record(self.base.availability(), OFFLINE.into(), true, now);
        }
        self.cut();
    }

    fn cut(&mut self) {
        self.connected = false;
        self.attempt_until = None;
        self.to_broker.clear();
        self.to_bridge.clear();
    }

    /// Another client publishes.
    pub(crate) fn publish(&mut self, topic: String, payload: Vec<u8>, retain: bool, now: Now) {
        if self.connected {
            self.deliver(topic, payload, retain, now);
        }
    }

    /// Another service publishes its state, retained: live, or as a stored message.
    pub(crate) fn publish_input(&mut self, topic: &str, payload: &[u8], stored: bool, now: Now) {
        self.inputs.insert(topic.to_owned(), payload.to_vec());
        self.publish(topic.to_owned(), payload.to_vec(), stored, now);
    }

    fn deliver(&mut self, topic: String, payload: Vec<u8>, retain: bool, now: Now) {
        let received = now.after(self.latency);
        let incoming = Incoming {
            topic,
            payload,
            retain,
            response_topic: None,
            correlation: None,
            signatures: Vec::new(),
            received,
            stalled: false,
        };
        self.to_bridge.push_back((received.instant, LinkEvent::Message(incoming)));
    }

    /// The session's task was scheduled without a gap.
    pub(crate) fn was_scheduled(&mut self, now: Instant) {
        self.session.was_scheduled(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let there = self.to_broker.front().map(|(at, _)| *at);
        let back = self.to_bridge.front().map(|(at, _)| *at);
        let own = [self.session.poll_timeout(), self.attempt_until, there, back];
        own.into_iter().flatten().min()
    }

    /// Does what is due. True if there is an event for the core.
    pub(crate) fn turn(&mut self, now: Now) -> bool {
        // Waiting messages.
        self.session.handle(LinkEvent::Timeout, now.instant);
        loop {
            while let Some(output) = self.session.poll_output() {
                self.carry_out(output, now);
            }
            if let Some(packet) = due(&mut self.to_broker, now.instant) {
                self.receive(packet, now);
            } else if let Some(event) = due(&mut self.to_bridge, now.instant) {
                if matches!(event, LinkEvent::Connected { .. }) {
                    self.attempt_until = None;
                }
                self.session.handle(event, now.instant);
            } else if self.attempt_until.is_some_and(|until| until <= now.instant) {
                self.dropped(now);
                let error = "did not answer in time".to_owned();
                self.session.handle(LinkEvent::Failed { broker: 0, error, is_answer: false }, now.instant);
            } else if self.session.poll_timeout().is_some_and(|at| at <= now.instant) {
                self.session.handle(LinkEvent::Timeout, now.instant);
            } else {
                return !self.events_in.is_empty();
            }
        }
    }

    fn carry_out(&mut self, output: Output, now: Now) {
        let there = now.instant + self.latency;
        match output {
            Output::Connect { limit, .. } => {
                self.dropped(now);
                self.attempt_until = Some(now.instant + limit);
                if self.reachable {
                    // TCP and TLS take round trips first, and TLS takes computing time.
                    let greeting = there + 4 * self.latency + GREETING;
                    self.to_broker.push_back((greeting, ToBroker::Connect));
                } else {
                    self.attempt_until = None;
                    let error = "connection refused".to_owned();
                    let failed = LinkEvent::Failed { broker: 0, error, is_answer: false };
                    self.to_bridge.push_back((now.instant, failed));
                }
            }
            Output::Subscribe => self.to_broker.push_back((there, ToBroker::Subscribe)),
            Output::Publish(number, outgoing) => {
                self.to_broker.push_back((there, ToBroker::Publish(number, outgoing)));
            }
            Output::Disconnect => {
                self.to_broker.push_back((there, ToBroker::Disconnect));
                self.to_bridge.push_back((now.instant, LinkEvent::HungUp));
            }
            // After a DISCONNECT the broker does not publish the will.
            Output::Drop
                if self.to_broker.iter().any(|(_, packet)| matches!(packet, ToBroker::Disconnect)) => {}
            Output::Drop => self.dropped(now),
            // The broker refuses it.
            Output::LeaveWill { round, .. } => {
                let back = there;
                self.to_bridge.push_back((back, LinkEvent::WillLeft { round, left: Left::Refused }));
            }
            Output::Report(event) => self.events_in.push_back(event),
            Output::End => {}
        }
    }

    /// The broker handles a packet.
    fn receive(&mut self, packet: ToBroker, now: Now) {
        let back = now.instant + self.latency;
        match packet {
            ToBroker::Connect => {
                self.connected = true;
                self.connections += 1;
                let nonce = format!("n{}", self.connections);
                let largest_packet = self.largest_packet;
                self.to_bridge.push_back((back, LinkEvent::Connected { broker: 0, nonce, largest_packet }));
            }
            ToBroker::Subscribe => {
                self.to_bridge.push_back((back, LinkEvent::Subscribed(vec![Ok(())])));
                let own = [self.base.availability(), self.base.state()];
                let is_own = |topic: &str| own.iter().any(|own| own == topic) || topic.ends_with("/config");
                let stored = self.retained.iter().filter(|(topic, _)| is_own(topic));
                let stored: Vec<_> =
                    stored.chain(&self.inputs).map(|(t, p)| (t.clone(), p.clone())).collect();
                for (topic, payload) in stored {
                    self.deliver(topic, payload, true, now);
                }
            }
            ToBroker::Publish(number, Outgoing { topic, payload, retain, .. }) => {
                let bytes = topic.len() + payload.len();
                let taken = self.largest_packet.is_none_or(|largest| bytes < largest as usize);
                assert!(taken, "the broker would disconnect: {bytes} bytes for {topic}");
                let is_command = self.base.is_command(&topic);
                let is_canary = is_command && topic == self.base.canary();
                let is_refused = |topic: &str| self.refused.contains(&self.base.grant(topic));
                let refused = is_canary || (!self.refused.is_empty() && is_refused(&topic));
                let refusal = refused.then_some(Refusal::NotAuthorised);
                self.to_bridge
                    .push_back((back, LinkEvent::Acknowledged { number, refused: refusal, at: back }));
                if !refused && is_command {
                    self.deliver(topic, payload, retain, now);
                } else if !refused {
                    self.record(topic, payload, retain, now);
                }
            }
            ToBroker::Disconnect => self.cut(),
        }
    }

    fn record(&mut self, topic: String, payload: Vec<u8>, retain: bool, now: Now) {
        self.orders += 1;
        let order = self.orders;
        if topic == self.state_topic {
            while self.states.len() >= self.states_kept.max(1) {
                self.states.pop_front();
            }
            self.states.push_back(Published { at: now, order, what: payload.clone() });
        } else if topic == self.event_topic {
            let what = serde_json::from_slice(&payload).expect("an event is one");
            self.events.push(Published { at: now, order, what });
        } else if topic == self.availability_topic {
            let what = String::from_utf8_lossy(&payload).into_owned();
            self.availability.push(Published { at: now, order, what });
        } else if !retain {
            let what: Reply = serde_json::from_slice(&payload).expect("a reply is one");
            self.replies.entry(what.id.clone()).or_default().push(Published { at: now, order, what });
        }
        if retain && payload.is_empty() {
            self.retained.remove(&topic);
        } else if retain {
            self.retained.insert(topic, payload);
        }
    }
}

/// The first one, if it has arrived.
fn due<T>(queue: &mut VecDeque<(Instant, T)>, now: Instant) -> Option<T> {
    queue.front().filter(|(at, _)| *at <= now)?;
    queue.pop_front().map(|(_, what)| what)
}
