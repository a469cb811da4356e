//! `focuser-bridge SETTINGS`: puts an ASA OK3Z focuser on MQTT.

use std::process::ExitCode;

use bridge::command_line::{self, Program};
use focuser_bridge::daemon;

fn main() -> ExitCode {
    let program = Program {
        name: env!("CARGO_PKG_NAME"),
        about: "Puts an ASA OK3Z focuser on MQTT",
        version: env!("CARGO_PKG_VERSION"),
    };
    command_line::run(program, daemon::run)
}
