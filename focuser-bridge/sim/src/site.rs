//! What a test's site must know of the focuser.

use std::collections::BTreeMap;

use harness::site::{Instrument, table};
use serde_json::Value;

use crate::{Config, Focuser};

impl Instrument for Focuser {
    const KIND: &'static str = "focuser";
    const BRIDGE: &'static str = "focuser-bridge";
    const TOOL: (&'static str, &'static [&'static str]) = ("focus", &[]);
    type Config = Config;

    /// Code and value: `("P092", "-30528")`.
    type Order = (String, String);

    /// Near the inner end, so that homing is short; a counter left from a night before, so large
    /// that no move comes near zero, where it would prove nothing.
    fn usual() -> Self::Config {
        Config { place_mm: 0.4, counter: 40_000, wire_time: true, ..Config::default() }
    }

    fn build(config: Self::Config) -> Self {
        Self::new(config)
    }

    fn settings() -> BTreeMap<String, String> {
        table([("query_delay", "0.2")])
    }

    fn orders(&self) -> Vec<(String, String)> {
        self.writes().map(|write| (write.code.clone(), write.value.clone())).collect()
    }

    fn is_read(state: &Value) -> bool {
        let is_checked = state.get("reason").is_some_and(|reason| reason != "checking");
        is_checked && state.get("current_steps").is_some_and(Value::is_number)
    }
}
