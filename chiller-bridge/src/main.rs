//! `chiller-bridge SETTINGS`: puts a ThermoTek T257P water chiller on MQTT.

use std::process::ExitCode;

use bridge::command_line::{self, Program};
use chiller_bridge::daemon;

fn main() -> ExitCode {
    let program = Program {
        name: env!("CARGO_PKG_NAME"),
        about: "Puts a ThermoTek T257P water chiller on MQTT",
        version: env!("CARGO_PKG_VERSION"),
    };
    command_line::run(program, daemon::run)
}
