//! `chiller`: see and command the water chiller, with the predecessor's lines.

mod lines;

use std::process::ExitCode;

use bus::device::Tone;
use chiller_device::DESCRIPTION;
use cli::tool::{Shortcut, Tool};

const TOOL: Tool = Tool {
    command: "chiller",
    about: "See and command the water chiller",
    after_help: "\
Exit codes: 0 done; 1 failed; 2 another command runs; 3 not allowed; 4 device offline or state
stale; 6 outside limits; 7 not connected or released; 10 the mode is automatic; 20-33 refused, see
the message; 36 the chiller has a fault (`status`); 64 wrong usage or settings, nothing was sent;
155 broker or bridge not reached.",
    version: env!("CARGO_PKG_VERSION"),
    description: &DESCRIPTION,
    device: "chiller",
    texts: &[
        ("mode", "Say who decides whether the chiller runs"),
        ("mode.mode", "`auto`: the bridge; `manual`: you"),
        ("setpoint", "Set the temperature of the water"),
        ("setpoint.celsius", "Degrees Celsius"),
        ("release", "Stop polling for a while, so that the keys on the chiller's panel work"),
        ("release.minutes", "0 to 15; 0 ends it now"),
        ("clear_alarms", "Put the chiller in standby and clear its alarms"),
    ],
    shortcuts: &[
        Shortcut {
            name: "enable",
            about: "Run the chiller (manual mode only)",
            verb: "enabled",
            arguments: &[("enabled", "on")],
        },
        Shortcut {
            name: "disable",
            about: "Put the chiller in standby (manual mode only)",
            verb: "enabled",
            arguments: &[("enabled", "off")],
        },
    ],
    lines: lines::body,
    brief: lines::brief,
    // The colours that operators know: cyan and yellow.
    tones: &[("cooling", Tone::Busy), ("heating", Tone::Warning)],
    after_stop: None,
};

fn main() -> ExitCode {
    cli::run_tool(&TOOL)
}
