//! `focuser-bridge SETTINGS`: puts an ASA OK3Z focuser on MQTT.

use std::process::ExitCode;

fn main() -> ExitCode {
    bridge::instrument::main::<focuser_bridge::daemon::Bridge>()
}
