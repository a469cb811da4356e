//! A simulated thermometer with a heater; shares no code with the codec.

use std::collections::BTreeMap;

use bus::clock::Instant;
use harness::sim_console::Word;
use harness::site::{SiteModel, table};
use harness::text::{TextModel, TextUnit};
use serde_json::Value;

/// The instrument with its serial side.
pub type Unit = TextUnit<Thermometer>;

/// What it is.
#[derive(Clone, Debug)]
pub struct Thermometer {
    ambient: f64,
    celsius: f64,
    heater: bool,
    /// Without it it refuses to tell a temperature.
    pub sensor: bool,
    passed: Option<Instant>,
}

impl TextModel for Thermometer {
    const HELP: &'static str = "fault KIND, clear, power-cycle, unplug, plug, status; ambient C, sensor 0|1";
    const WORDS: &'static [Word<Unit>] = &[
        ("ambient", -50.0..=100.0, |unit, celsius| unit.model.ambient = celsius),
        ("sensor", 0.0..=1.0, |unit, there| unit.model.sensor = there > 0.5),
    ];

    fn answer(&mut self, request: &str) -> Option<String> {
        match request {
            "T?" if self.sensor => return Some(format!("T={:+.2}", self.celsius)),
            "H0" => self.heater = false,
            "H1" => self.heater = true,
            "H?" => {}
            _ => return Some("E".to_owned()),
        }
        Some(format!("H={}", u8::from(self.heater)))
    }

    fn pass(&mut self, now: Instant) {
        let seconds = self.passed.replace(now).map_or(0.0, |then| now.since(then).as_secs_f64());
        let goal = self.ambient + if self.heater { 20.0 } else { 0.0 };
        self.celsius += (goal - self.celsius) * (seconds / 60.0).min(1.0);
    }

    fn power_cycle(&mut self) {
        self.heater = false;
    }

    fn describe(&self) -> String {
        format!("{:.2} degC, heater {}", self.celsius, if self.heater { "on" } else { "off" })
    }
}

impl SiteModel for Thermometer {
    const KIND: &'static str = "thermometer";
    const BRIDGE: &'static str = "thermometer-bridge";

    fn usual() -> Self {
        Self { ambient: 20.0, celsius: 20.0, heater: false, sensor: true, passed: None }
    }

    fn settings() -> BTreeMap<String, String> {
        table([("query_delay", "0.2")])
    }

    fn is_order(line: &str) -> bool {
        ["H0", "H1"].contains(&line)
    }

    fn is_read(state: &Value) -> bool {
        state.get("heater_on").is_some_and(Value::is_boolean)
    }
}
