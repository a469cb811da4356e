//! `focuser-bridge SETTINGS`: puts an ASA OK3Z focuser on MQTT.

use std::process::ExitCode;

fn main() -> ExitCode {
    bridge::main::<focuser_bridge::daemon::Bridge>()
}
