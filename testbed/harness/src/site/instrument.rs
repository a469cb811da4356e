//! What a site must know about its instrument: its bridge, its model, and the settings that make a
//! test quick.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::port::Device;
use crate::text::{TextModel, TextUnit};

/// An instrument at the level of bytes, and the daemon for it.
pub trait Instrument: Device {
    /// The device's level in a topic.
    const KIND: &'static str;
    /// The daemon's program, and its identity, as the shipped access control names it.
    const BRIDGE: &'static str;
    /// Its command line tool, and the words before the user's arguments.
    const TOOL: (&'static str, &'static [&'static str]);
    /// How the model is built.
    type Config: Clone + std::fmt::Debug;

    /// An order that was written to it, as a test sees it.
    type Order;

    /// The default: it accepts any pause in a request and replies at once.
    fn usual() -> Self::Config;
    /// The model.
    fn build(config: Self::Config) -> Self;
    /// Settings of the bridge in addition to those of every bridge, as TOML values.
    fn settings() -> BTreeMap<String, String>;
    /// The orders that were written to it, since its start.
    fn orders(&self) -> Vec<Self::Order>;
    /// Whether this state has all first readings: the status is complete.
    fn is_read(state: &Value) -> bool;
}

/// A table of settings from pairs of literals.
#[must_use]
pub fn table<const N: usize>(settings: [(&str, &str); N]) -> BTreeMap<String, String> {
    settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What a site must know about an instrument with a protocol of text lines; a [`TextUnit`] of it is
/// then an [`Instrument`], commanded by `obsbus`.
pub trait SiteModel: TextModel + Clone + std::fmt::Debug {
    /// The device's level in a topic.
    const KIND: &'static str;
    /// The daemon's program, and its identity.
    const BRIDGE: &'static str;

    /// The default.
    fn usual() -> Self;
    /// Settings of the bridge in addition to those of every bridge, as TOML values.
    fn settings() -> BTreeMap<String, String>;
    /// Whether a received line is an order.
    fn is_order(line: &str) -> bool;
    /// Whether this state has all first readings.
    fn is_read(state: &Value) -> bool;
}

impl<M: SiteModel> Instrument for TextUnit<M> {
    const KIND: &'static str = M::KIND;
    const BRIDGE: &'static str = M::BRIDGE;
    const TOOL: (&'static str, &'static [&'static str]) = ("obsbus", &[M::KIND]);
    type Config = M;
    type Order = String;

    fn usual() -> M {
        M::usual()
    }

    fn build(model: M) -> Self {
        Self::new(model, Duration::ZERO..=Duration::ZERO, Duration::ZERO)
    }

    fn settings() -> BTreeMap<String, String> {
        M::settings()
    }

    fn orders(&self) -> Vec<String> {
        self.heard().iter().filter(|line| M::is_order(line)).cloned().collect()
    }

    fn is_read(state: &Value) -> bool {
        M::is_read(state)
    }
}
