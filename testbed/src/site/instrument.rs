//! What a site must know of the instrument it has: its bridge, its model, and the settings that
//! make a test quick.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::port::Device;
use crate::{chiller, focuser};

/// An instrument at the level of bytes, and the daemon for it.
pub trait Instrument: Device {
    /// The device's level in a topic.
    const KIND: &'static str;
    /// The daemon's program, and its identity, as the shipped access control names it.
    const BRIDGE: &'static str;
    /// How the model is built.
    type Config: Clone + std::fmt::Debug;

    /// As it is unless a test changes it: it takes any pause in a request and answers at once.
    fn usual() -> Self::Config;
    /// The model.
    fn build(config: Self::Config) -> Self;
    /// Settings of the bridge besides those that every bridge must have, as TOML values.
    fn settings() -> BTreeMap<String, String>;
    /// Whether this state has all that is read at first: what a status shows is complete.
    fn is_read(state: &Value) -> bool;
}

fn table<const N: usize>(settings: [(&str, &str); N]) -> BTreeMap<String, String> {
    settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

impl Instrument for chiller::Chiller {
    const KIND: &'static str = "chiller";
    const BRIDGE: &'static str = "chiller-bridge";
    type Config = chiller::Config;

    fn usual() -> Self::Config {
        chiller::Config { gap: None, latency: Duration::ZERO..=Duration::ZERO, ..chiller::Config::default() }
    }

    fn build(config: Self::Config) -> Self {
        Self::new(config)
    }

    fn settings() -> BTreeMap<String, String> {
        table([("query_delay", "1"), ("start_mode", "\"manual\"")])
    }

    fn is_read(state: &Value) -> bool {
        // The last of the quick readings.
        state.get("tec_power").is_some_and(Value::is_number)
    }
}

impl Instrument for focuser::Focuser {
    const KIND: &'static str = "focuser";
    const BRIDGE: &'static str = "focuser-bridge";
    type Config = focuser::Config;

    /// Near the inner end, so that homing is short; a counter left from a night before, so large
    /// that no move comes near zero, where it would prove nothing.
    fn usual() -> Self::Config {
        focuser::Config { place_mm: 0.4, counter: 40_000, wire_time: true, ..focuser::Config::default() }
    }

    fn build(config: Self::Config) -> Self {
        Self::new(config)
    }

    fn settings() -> BTreeMap<String, String> {
        table([("query_delay", "0.2")])
    }

    fn is_read(state: &Value) -> bool {
        let is_checked = state.get("reason").is_some_and(|reason| reason != "checking");
        is_checked && state.get("current_steps").is_some_and(Value::is_number)
    }
}
