//! The second act, "a night": what happens to the services around the chiller, and what
//! `chiller watch` shows when the chiller has followed.

use super::step::{Action, Step, run};

const fn watched(line: &'static str, until: &'static str, says: &'static str) -> Step {
    Step { says, action: Action::Watched { line, until } }
}

/// It begins with a camera that is powered and ends with a chiller that stands by.
pub(super) const NIGHT: &[Step] = &[
    watched(
        "camera cmos off",
        "IDLE AUTOMATIC (not_needed)",
        "The second part: a night. The camera is switched off for a while; after the switch-off delay (a \
         minute at a real site, seconds here) the chiller is, too.",
    ),
    watched("camera cmos on", "COOLING AUTOMATIC (camera_power)", "It is on again; the chiller follows."),
    watched(
        "power dies",
        "(input_failsafe)",
        "The service that publishes camera power dies. That nobody says that a camera is on does not mean \
         that it is off: the chiller is held as it is, and after a while (5 minutes at a real site, 5 \
         seconds here) the safe side is taken: warm cameras cost more than cold water.",
    ),
    watched(
        "power returns",
        "IDLE AUTOMATIC (not_needed)",
        "The service is back and says that all cameras are off.",
    ),
    watched(
        "dome 3",
        "(antifreeze)",
        "It gets cold in the dome, below 5 degrees: the water must not freeze.",
    ),
    run("alice", "chiller status", 0, "because it may freeze: dome is at 3.0°C", "It says that as well."),
    watched("dome 8", "IDLE AUTOMATIC (not_needed)", "From 7 degrees on it no longer can."),
];
