//! `thermometer-bridge SETTINGS`: puts the example instrument on MQTT.

use std::process::ExitCode;

fn main() -> ExitCode {
    bridge::main::<thermometer_bridge::Bridge>()
}
