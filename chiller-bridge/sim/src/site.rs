//! What a test's site must know of the chiller.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::site::{Instrument, table};
use serde_json::Value;

use crate::{Chiller, Config};

impl Instrument for Chiller {
    const KIND: &'static str = "chiller";
    const BRIDGE: &'static str = "chiller-bridge";
    const TOOL: (&'static str, &'static [&'static str]) = ("chiller", &[]);
    type Config = Config;

    /// The set command and its data: `(15, "+0001")`.
    type Order = (u8, String);

    fn usual() -> Self::Config {
        Config { gap: None, latency: Duration::ZERO..=Duration::ZERO, ..Config::default() }
    }

    fn build(config: Self::Config) -> Self {
        Self::new(config)
    }

    fn settings() -> BTreeMap<String, String> {
        table([("query_delay", "1"), ("start_mode", "\"manual\"")])
    }

    fn orders(&self) -> Vec<(u8, String)> {
        self.writes().map(|write| (write.command, write.data.clone())).collect()
    }

    fn is_read(state: &Value) -> bool {
        // The last of the quick readings.
        state.get("tec_power").is_some_and(Value::is_number)
    }
}
