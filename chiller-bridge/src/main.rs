//! `chiller-bridge SETTINGS`: puts a ThermoTek T257P water chiller on MQTT.

use std::process::ExitCode;

fn main() -> ExitCode {
    bridge::main::<chiller_bridge::daemon::Bridge>()
}
