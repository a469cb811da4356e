//! A device's state as a test looks at it: the common keys, then the device's own.

use std::ops::Deref;

use bridge::controller::Facts;
use bridge::instrument::Instrument as _;
use bus::clock::Utc;
use bus::message::{Attention, LastCommand, SCHEMA, Snapshot, Stamp};

use serde::de::DeserializeOwned;

use crate::Subject;

/// The state of a subject.
pub type ShownOf<S> = Shown<<S as Subject>::State, <S as Subject>::Status>;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown<D, S> {
    /// When and by whom it was published; in a view: now, by nobody.
    pub stamp: Stamp,
    /// What it does.
    pub status: S,
    /// The same for people.
    pub status_label: String,
    /// What it does and why.
    pub summary: String,
    /// Why, as one word.
    pub reason: String,
    /// Time of the last valid reading.
    pub date: Option<Utc>,
    /// Whether it answers.
    pub connected: bool,
    /// The attentions; empty in a view.
    pub attention: Vec<Attention>,
    /// The last command that was admitted; none in a view.
    pub last_command: Option<LastCommand>,
    /// The device's own keys.
    pub device: D,
}

impl<D: DeserializeOwned, S: DeserializeOwned> Shown<D, S> {
    /// A state as it was published.
    pub(crate) fn read(payload: &[u8]) -> Self {
        let snapshot: Snapshot<D, S> = serde_json::from_slice(payload).expect("a state is one");
        let common = snapshot.common;
        Self {
            stamp: snapshot.stamp,
            status: common.status,
            status_label: common.status_label,
            summary: common.summary,
            reason: common.reason,
            date: common.date,
            connected: common.connected,
            attention: common.attention,
            last_command: common.last_command,
            device: snapshot.device,
        }
    }
}

/// The present state of `S`'s controller.
pub(crate) fn of<S: Subject>(facts: Facts, device: S::State, now: Utc) -> ShownOf<S> {
    Shown {
        stamp: Stamp {
            schema: SCHEMA,
            session: String::new(),
            started_at: now,
            uptime_s: 0.0,
            seq: 0,
            published_at: now,
            stale_after_s: 0.0,
        },
        status: S::status(facts.status),
        status_label: S::Instrument::DESCRIPTION.status_label(facts.status).to_owned(),
        summary: facts.summary,
        reason: facts.reason.to_owned(),
        date: facts.date,
        connected: facts.connected,
        attention: Vec::new(),
        last_command: None,
        device,
    }
}

impl<D, S> Deref for Shown<D, S> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.device
    }
}
