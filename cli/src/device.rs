//! What the commands must know of a kind of device, so that `status`, `json`, `watch` and
//! `history` are the same for all.

use crate::typed::Snapshot;
use bus::clock::{Now, Utc};
use bus::message::Attention;
use serde::de::DeserializeOwned;

use crate::history::Charts;
use crate::render::{Style, Tense};
use crate::view::View;

/// Whether the bridge talks to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The device answers.
    Answers,
    /// It does not.
    Silent,
    /// The bridge has let go of it, and asks nothing.
    Released,
}

/// The state of a kind of device, as it is published.
pub trait Device: DeserializeOwned {
    /// What people call it.
    const NOUN: &'static str;
    /// What it means that the bridge has let go of it.
    const RELEASED: &'static str;
    /// What is drawn of its history.
    const CHARTS: Charts;

    /// Whether the bridge talks to it.
    fn link(&self) -> Link;
    /// Time of the last valid reading.
    fn date(&self) -> Option<Utc>;
    /// What a human should know.
    fn attention(&self) -> &[Attention];
    /// Why it is as it is: the bus' word.
    fn reason(&self) -> &str;
    /// The same for people, control characters escaped.
    fn reason_in_words(&self) -> String;
    /// Everything below the attentions of `status`.
    fn body(
        snapshot: &Snapshot<Self>,
        view: &View<Self>,
        now: Now,
        style: Style,
        tense: Tense,
    ) -> Vec<String>;
    /// What a line of `watch` says of it, without its attentions.
    fn brief(&self) -> String;
}
