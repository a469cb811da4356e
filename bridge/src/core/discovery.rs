//! Publishes the discovery messages: after each connection and after Home Assistant's birth message, one
//! entity at a time, so that states and replies do not have to wait. Leftovers of earlier settings are
//! cleared first; otherwise Home Assistant could find an id twice. Pure.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::homeassistant::{self, HomeAssistant};
use bus::incoming::Incoming;
use bus::message::{Meta, ONLINE};
use bus::topic::{self, Base};

use super::{Core, CoreSettings, meta};
use crate::controller::{Controller, Protocol};

/// From one entity to the next.
const PAUSE: Duration = Duration::from_millis(25);
/// All bridges receive the birth message at the same time; each starts at a random time within this.
const SPREAD: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Discovery {
    settings: HomeAssistant,
    base: Base,
    birth: String,
    /// The topics of the entities that exist now.
    topics: BTreeSet<String>,
    /// The messages that are still to be published.
    waits: VecDeque<(String, Vec<u8>)>,
    /// When the next one is due.
    next: Option<Instant>,
    /// When all messages are due again.
    again: Option<Instant>,
    /// Whether the messages of this connection were started.
    has_begun: bool,
    /// Random for each start of the bridge; the random times are derived from it.
    session: String,
    births: u64,
}

impl Discovery {
    pub(super) fn new(settings: &CoreSettings) -> Option<Self> {
        let homeassistant = settings.homeassistant.clone()?;
        let base = settings.desk.base.clone();
        let meta = meta::of(settings);
        let topics = homeassistant::messages(&meta, &base, &homeassistant).map(|(topic, _)| topic).collect();
        Some(Self {
            birth: topic::birth(&homeassistant.prefix),
            topics,
            settings: homeassistant,
            base,
            waits: VecDeque::new(),
            next: None,
            again: None,
            has_begun: false,
            session: settings.session.clone(),
            births: 0,
        })
    }

    pub(super) fn is_for(&self, topic: &str) -> bool {
        topic == self.birth || self.base.is_discovery(&self.settings.prefix, topic)
    }

    pub(super) fn hear(&mut self, incoming: &Incoming, now: Instant) {
        if incoming.topic != self.birth {
            return self.found(incoming, now);
        }
        // A retained birth message is older than this connection, on which everything is published anyway.
        if incoming.payload == ONLINE.as_bytes() && !incoming.retain && self.again.is_none() {
            self.births += 1;
            self.again = Some(now + SPREAD.mul_f64(self.fraction()));
        }
    }

    /// There is a message on one of the bridge's own topics.
    fn found(&mut self, incoming: &Incoming, now: Instant) {
        if incoming.payload.is_empty() || self.topics.contains(&incoming.topic) {
            return;
        }
        self.waits.push_front((incoming.topic.clone(), Vec::new()));
        if self.has_begun {
            self.next.get_or_insert(now);
        }
    }

    /// A random number from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    fn fraction(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        (&self.session, self.births).hash(&mut hasher);
        hasher.finish() as f64 / u64::MAX as f64
    }

    /// The connection was lost, or is new.
    pub(super) fn clear(&mut self) {
        self.waits.clear();
        self.next = None;
        self.again = None;
        self.has_begun = false;
    }

    /// Starts to publish everything.
    fn begin(&mut self, meta: &Meta, now: Instant) {
        self.waits.retain(|(_, payload)| payload.is_empty());
        self.waits.extend(homeassistant::messages(meta, &self.base, &self.settings));
        self.next = Some(now);
        self.again = None;
        self.has_begun = true;
    }

    /// When the next message is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.again.filter(|_| self.has_begun)).min()
    }

    fn is_due_again(&self, now: Instant) -> bool {
        self.has_begun && self.again.is_some_and(|at| at <= now)
    }

    /// The topic and payload that are due now.
    fn next(&mut self, now: Instant) -> Option<(String, Vec<u8>)> {
        self.next.filter(|at| *at <= now)?;
        let next = self.waits.pop_front();
        self.next = (!self.waits.is_empty()).then_some(now + PAUSE);
        next
    }
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// Starts to publish all discovery messages.
    pub(super) fn begin_discovery(&mut self, now: Now) {
        if let Some(discovery) = &mut self.discovery {
            discovery.begin(&meta::of(&self.settings), now.instant);
        }
    }

    /// Publishes the discovery message that is due.
    pub(super) fn publish_discovery(&mut self, now: Now) {
        if self.discovery.as_ref().is_some_and(|discovery| discovery.is_due_again(now.instant)) {
            self.begin_discovery(now);
        }
        if let Some((topic, payload)) = self.discovery.as_mut().and_then(|found| found.next(now.instant)) {
            self.set(topic, payload, None);
        }
    }
}
