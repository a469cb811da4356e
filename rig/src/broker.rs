//! A broker and a bridge's session with it, in stepped time: connections that come and go, what is
//! retained, the canary's verdict, and a record of everything that was published.
//!
//! Replies and events go through the real outbox, so that order, expiry and loss are the daemon's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::incoming::Incoming;
use bus::message::{Event, OFFLINE, Reply};
use bus::outbox::{Outbox, Outgoing};
use bus::probe::Verdict;
use bus::session::bridge::SessionEvent;
use bus::topic::Base;

/// From the connection to the loopback.
const VERDICT_AFTER: Duration = Duration::from_millis(20);
/// The session's shortest back-off.
const CONNECT_AFTER: Duration = Duration::from_secs(1);
/// States that are kept; a day has a hundred thousand.
const STATES_KEPT: usize = 5_000;

/// Something that was published; `order` counts all publications.
#[derive(Clone, Debug)]
pub struct Published<T> {
    /// When.
    pub at: Now,
    /// Its number.
    pub order: u64,
    /// What.
    pub what: T,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Broker {
    base: Base,
    /// Where states and events go: looked for with every publication.
    state_topic: String,
    event_topic: String,
    pub(crate) outbox: Outbox,
    reachable: bool,
    connected: bool,
    connect_at: Option<Instant>,
    verdict_at: Option<Instant>,
    /// The broker's memory: what a new subscriber would get.
    pub(crate) retained: BTreeMap<String, Vec<u8>>,
    inputs: BTreeMap<String, Vec<u8>>,
    /// What the core is to be told.
    pub(crate) events_in: VecDeque<SessionEvent>,
    orders: u64,
    /// How many states are kept.
    pub(crate) states_kept: usize,
    /// The newest states, oldest first.
    pub(crate) states: VecDeque<Published<Vec<u8>>>,
    /// All replies.
    pub(crate) replies: Vec<Published<Reply>>,
    /// All events.
    pub(crate) events: Vec<Published<Event>>,
    /// What availability said.
    pub(crate) availability: Vec<Published<String>>,
}

impl Broker {
    pub(crate) fn new(base: Base, now: Instant) -> Self {
        Self {
            state_topic: base.state(),
            event_topic: base.event(),
            base,
            outbox: Outbox::default(),
            reachable: true,
            connected: false,
            connect_at: Some(now),
            verdict_at: None,
            retained: BTreeMap::new(),
            inputs: BTreeMap::new(),
            events_in: VecDeque::new(),
            orders: 0,
            states_kept: STATES_KEPT,
            states: VecDeque::new(),
            replies: Vec::new(),
            events: Vec::new(),
            availability: Vec::new(),
        }
    }

    /// The bridge was killed: the will speaks, and a new process connects.
    pub(crate) fn bridge_killed(&mut self, now: Now) {
        if self.connected {
            self.record(self.base.availability(), OFFLINE.into(), true, now);
        }
        self.outbox = Outbox::default();
        self.events_in.clear();
        self.connected = false;
        self.verdict_at = None;
        self.connect_at = self.reachable.then_some(now.instant);
    }

    /// The broker is killed, and forgets what it had retained.
    pub(crate) fn down(&mut self) {
        self.reachable = false;
        self.retained.clear();
        self.lose("connection refused");
        self.connect_at = None;
    }

    pub(crate) fn up(&mut self, now: Instant) {
        self.reachable = true;
        self.connect_at = Some(now + CONNECT_AFTER);
    }

    /// The session drops the connection without a farewell: the will speaks.
    pub(crate) fn reconnect(&mut self, now: Now) {
        if self.connected {
            self.record(self.base.availability(), OFFLINE.into(), true, now);
            self.lose("dropped");
            self.connect_at = Some(now.instant + CONNECT_AFTER);
        }
    }

    fn lose(&mut self, error: &str) {
        if std::mem::replace(&mut self.connected, false) {
            self.outbox.disconnected();
            self.verdict_at = None;
            self.events_in.push_back(SessionEvent::Lost { error: error.to_owned() });
        }
    }

    /// Another client publishes.
    pub(crate) fn publish(&mut self, topic: String, payload: Vec<u8>, retain: bool, now: Now) {
        if self.connected {
            self.events_in.push_back(SessionEvent::Message(incoming(topic, payload, retain, now)));
        }
    }

    /// Another service publishes its state, retained: live, or as what the broker had stored.
    pub(crate) fn publish_input(&mut self, topic: &str, payload: &[u8], stored: bool, now: Now) {
        self.inputs.insert(topic.to_owned(), payload.to_vec());
        self.publish(topic.to_owned(), payload.to_vec(), stored, now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.connect_at.into_iter().chain(self.verdict_at).min()
    }

    /// Does what is due. True if the core is to be told of something.
    pub(crate) fn turn(&mut self, now: Now) -> bool {
        if self.connect_at.is_some_and(|at| at <= now.instant) {
            self.connect_at = None;
            self.connected = true;
            self.verdict_at = Some(now.instant + VERDICT_AFTER);
            self.events_in.push_back(SessionEvent::Connected);
            let own = [self.base.availability(), self.base.state()];
            let stored = own.into_iter().filter_map(|topic| self.retained.get_key_value(&topic));
            for (topic, payload) in stored.chain(&self.inputs) {
                let message = incoming(topic.clone(), payload.clone(), true, now);
                self.events_in.push_back(SessionEvent::Message(message));
            }
        }
        if self.verdict_at.is_some_and(|at| at <= now.instant) {
            self.verdict_at = None;
            let verdict = Verdict { acl_ok: Some(true), command_path_ok: true };
            self.events_in.push_back(SessionEvent::Judged(verdict));
        }
        while self.connected
            && let Some((token, outgoing)) = self.outbox.next(now.instant)
        {
            self.outbox.acknowledge(token, now.instant);
            let Outgoing { topic, payload, retain, .. } = outgoing;
            self.record(topic, payload, retain, now);
        }
        !self.events_in.is_empty()
    }

    /// The session's last word.
    pub(crate) fn farewell(&mut self, say_offline: bool, now: Now) {
        self.turn(now);
        if say_offline && self.connected {
            self.record(self.base.availability(), OFFLINE.into(), true, now);
        }
        self.connected = false;
        self.connect_at = None;
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
        } else if topic == self.base.availability() {
            let what = String::from_utf8_lossy(&payload).into_owned();
            self.availability.push(Published { at: now, order, what });
        } else if !retain {
            let what = serde_json::from_slice(&payload).expect("a reply is one");
            self.replies.push(Published { at: now, order, what });
        }
        if retain {
            self.retained.insert(topic, payload);
        }
    }
}

fn incoming(topic: String, payload: Vec<u8>, retain: bool, now: Now) -> Incoming {
    Incoming {
        topic,
        payload,
        retain,
        response_topic: None,
        correlation: None,
        received: now,
        stalled: false,
    }
}
