//! When the last events are published, and when they are saved.

use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::device::Class;
use bus::message::{Event, Recent as Message};

use super::Core;
use crate::controller::{Controller, Protocol};
use crate::recent::{Change, RecentEvents};

/// Shortest interval between publications, and between saves.
const PERIOD: Duration = Duration::from_secs(1);
/// A mere repetition can wait longer for the disk.
const COUNT_PERIOD: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Recent {
    kept: RecentEvents,
    unpublished: bool,
    /// On a new connection other messages go first.
    waits: bool,
    published: Option<Instant>,
    unsaved: Change,
    saved: Option<Instant>,
}

impl Recent {
    /// Continues from the saved events of the previous process.
    pub(super) fn new(saved: Option<Message>) -> Self {
        let kept = RecentEvents::new(saved);
        Self { kept, unpublished: true, waits: false, published: None, unsaved: Change::None, saved: None }
    }

    /// A new connection: the broker may have lost them.
    pub(super) fn connected(&mut self) {
        self.waits = true;
        self.published = None;
    }

    /// It is their turn on this connection.
    pub(super) fn may_follow(&mut self) {
        self.waits = false;
        self.unpublished = true;
    }

    fn add(&mut self, event: &Event, is_question: bool) {
        let change = self.kept.add(event, is_question);
        self.unpublished |= change != Change::None;
        self.unsaved = self.unsaved.max(change);
    }

    /// When they may be published, if they must be.
    fn publish_at(&self, now: Instant) -> Option<Instant> {
        (self.unpublished && !self.waits).then(|| self.published.map_or(now, |at| at + PERIOD))
    }

    /// When they may be saved, if they must be.
    fn save_at(&self, now: Instant) -> Option<Instant> {
        let period = match self.unsaved {
            Change::None => return None,
            Change::Counted => COUNT_PERIOD,
            Change::New => PERIOD,
        };
        Some(self.saved.map_or(now, |at| at + period))
    }
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    pub(super) fn note_recent(&mut self, event: &Event) {
        let verb = event.body.verb.as_deref().and_then(|verb| self.settings.description.verb(verb));
        self.recent.add(event, verb.is_some_and(|verb| verb.class == Class::Query));
    }

    /// While another bridge may be alive, the file may be that bridge's.
    fn may_save_recent(&self) -> bool {
        self.announce_at.is_none()
    }

    /// When [`Core::show_recent`] wants to be called.
    pub(super) fn recent_timeout(&self) -> Option<Instant> {
        let publish = self.recent.publish_at(self.pumped).filter(|_| self.announced);
        let save = self.recent.save_at(self.pumped).filter(|_| self.may_save_recent());
        publish.into_iter().chain(save).min()
    }

    /// Publishes and saves them, if it is time.
    pub(super) fn show_recent(&mut self, now: Now) {
        if self.announced && self.recent.publish_at(now.instant).is_some_and(|at| at <= now.instant) {
            self.recent.unpublished = false;
            self.recent.published = Some(now.instant);
            let payload = self.recent.kept.payload(now.utc);
            self.set(self.settings.desk.base.recent(), payload, None);
        }
        if self.recent.save_at(now.instant).is_some_and(|at| at <= now.instant) {
            self.save_recent(now);
        }
    }

    /// Saves the events that are not on the disk yet.
    pub(super) fn save_recent(&mut self, now: Now) {
        if self.recent.unsaved != Change::None && self.may_save_recent() {
            self.recent.unsaved = Change::None;
            self.recent.saved = Some(now.instant);
            let payload = self.recent.kept.payload(now.utc);
            self.save_events(payload, now);
        }
    }

    /// The save has failed.
    pub(super) fn save_recent_again(&mut self, now: Now) {
        self.recent.unsaved = Change::New;
        self.save_recent(now);
    }
}
