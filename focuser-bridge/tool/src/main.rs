//! `focus`: see and command the focuser, with the predecessor's line.

mod lines;

use std::process::ExitCode;

use cli::tool::Tool;
use focuser_device::DESCRIPTION;

const TOOL: Tool = Tool {
    command: "focus",
    about: "See and command the focuser",
    after_help: "\
`set`, `offset` and `init` wait until the motion has ended. Ctrl-C sends a stop, waits for
standstill and exits 28; a second Ctrl-C does not wait. Any other end of the command (a closed
terminal, a kill) leaves the motion alone.

`outcome ID` asks the bridge again with the same id; that never moves anything. For that, requests
for motion are noted for a day in $XDG_STATE_HOME/obsbus/requests (~/.local/state/obsbus/requests).
The bridge remembers for 15 minutes. Of a request that is not noted here, `outcome` knows only what
the state says of the last command.

Exit codes: 0 done; 1 failed, or nothing is known of the id; 2 another command runs; 3 not allowed;
4 device offline or state stale; 6 outside limits; 7 not connected, not homed or released;
20-27, 31, 33 refused, see the message; 28 stopped; 29 not in time; 30 interrupted, the bridge
ended; 36 the focuser has a fault (`status`); 64 wrong usage or settings, nothing was sent;
155 broker or bridge not reached, or a stop that could not be delivered.",
    version: env!("CARGO_PKG_VERSION"),
    description: &DESCRIPTION,
    device: "focuser",
    texts: &[
        ("set", "Move to a position"),
        ("set.mm", "Millimetres from the inner end, outwards"),
        ("offset", "Move by a distance from where it is"),
        ("offset.mm", "Millimetres outwards; negative: inwards"),
        ("init", "Drive to the inner end, which is 0 mm from then on; nothing if that is known already"),
        ("init.force", "Drive there all the same"),
        ("stop", "Stop, whoever moves it, and wait for standstill"),
        ("kill", "Stop, let go of the focuser, and keep it still until `init`"),
    ],
    shortcuts: &[],
    lines: lines::body,
    brief: lines::brief,
    tones: &[],
    // For people who stop a focuser that a scheduler uses.
    after_stop: Some("a scheduler may move it again; `focus kill` keeps it still until `focus init`"),
};

fn main() -> ExitCode {
    cli::run_tool(&TOOL)
}
