//! What Home Assistant is told of the device, and when: after each connection and after its birth,
//! one entity after the other, so that no state and no answer waits behind it. What earlier settings
//! left is taken back first, or Home Assistant would find an id twice. Pure.

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
/// All bridges hear Home Assistant's birth at once: each begins at its own moment within this.
const SPREAD: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Discovery {
    settings: HomeAssistant,
    base: Base,
    birth: String,
    /// Where we tell something.
    topics: BTreeSet<String>,
    /// What is still to be told.
    waits: VecDeque<(String, Vec<u8>)>,
    /// When the next of it goes out: on this connection we have begun.
    next: Option<Instant>,
    /// When all is told again.
    again: Option<Instant>,
    has_begun: bool,
    /// What our moments are drawn from: random for each start.
    session: String,
    births: u64,
}

impl Discovery {
    pub(super) fn new(settings: &CoreSettings) -> Option<Self> {
        let homeassistant = settings.homeassistant.clone()?;
        let base = settings.desk.base.clone();
        let meta = meta::of(settings);
        let topics = homeassistant::told(&meta, &base, &homeassistant).map(|(topic, _)| topic).collect();
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
        // A stored one is older than this connection, on which all is told in any case.
        if incoming.payload == ONLINE.as_bytes() && !incoming.retain && self.again.is_none() {
            self.births += 1;
            self.again = Some(now + SPREAD.mul_f64(self.fraction()));
        }
    }

    /// Something stands where only we may write.
    fn found(&mut self, incoming: &Incoming, now: Instant) {
        if incoming.payload.is_empty() || self.topics.contains(&incoming.topic) {
            return;
        }
        self.waits.push_front((incoming.topic.clone(), Vec::new()));
        if self.has_begun {
            self.next.get_or_insert(now);
        }
    }

    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    fn fraction(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        (&self.session, self.births).hash(&mut hasher);
        hasher.finish() as f64 / u64::MAX as f64
    }

    /// The connection is gone.
    pub(super) fn clear(&mut self) {
        self.waits.clear();
        self.next = None;
        self.again = None;
        self.has_begun = false;
    }

    /// All of it, from now on.
    fn begin(&mut self, meta: &Meta, now: Instant) {
        self.waits.retain(|(_, payload)| payload.is_empty());
        self.waits.extend(homeassistant::told(meta, &self.base, &self.settings));
        self.next = Some(now);
        self.again = None;
        self.has_begun = true;
    }

    /// When something is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.again.filter(|_| self.has_begun)).min()
    }

    fn is_due_again(&self, now: Instant) -> bool {
        self.has_begun && self.again.is_some_and(|at| at <= now)
    }

    /// What is to be told now, with its topic.
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
    /// Tells Home Assistant of everything, from now on.
    pub(super) fn begin_discovery(&mut self, now: Now) {
        if let Some(discovery) = &mut self.discovery {
            discovery.begin(&meta::of(&self.settings), now.instant);
        }
    }

    /// Tells it what is due.
    pub(super) fn publish_discovery(&mut self, now: Now) {
        if self.discovery.as_ref().is_some_and(|discovery| discovery.is_due_again(now.instant)) {
            self.begin_discovery(now);
        }
        if let Some((topic, payload)) = self.discovery.as_mut().and_then(|found| found.next(now.instant)) {
            self.set(topic, payload, None);
        }
    }
}
