//! The third act: the focuser. Two people want it at once, and its controller loses its power.

use super::step::{Action, Step, run};
use crate::focuser::Focuser;
use crate::site::Instrument as _;

const fn moved(command: &'static str, shows: &'static str, says: &'static str) -> Step {
    Step { says, action: Action::Move { who: "alice", command, shows } }
}

/// It begins with a focuser that was just switched on and ends with one that was switched off and on.
pub(super) const FOCUSING: &[Step] = &[
    run(
        "alice",
        "focus status",
        0,
        "`init` drives to the inner end",
        "The third part: the focuser. Its controller was just switched on, so that nobody knows where it \
         is. It does not move by itself to find out.",
    ),
    moved(
        "focus init",
        "init: succeeded",
        "Alice sends it to its inner end, which is 0 mm: there, half a millimetre back, and there again.",
    ),
    moved("focus set 3.2", "set 3.2: succeeded", "A move. It goes a little too far and comes back inwards."),
    run("alice", "focus set 7", 6, "outside_limits", "The settings allow 0 to 6 mm: nothing is sent."),
    Step {
        says: "She sends it back. While it moves ...",
        action: Action::Begin { who: "alice", command: "focus set 0.2" },
    },
    run("ops", "focus status", 0, "0.200 mm)", "... somebody else looks, from another terminal,"),
    run("ops", "focus set 2", 2, "alice", "is told who uses it,"),
    run("ops", "focus stop", 0, "stop: succeeded", "and stops it, which everybody may who may move it."),
    Step {
        says: "Alice's command ends with that, and says who it was.",
        action: Action::End { code: 28, shows: "ops" },
    },
    moved("focus offset -0.05", "offset -0.05: succeeded", "Nothing of it sticks: the next move just goes."),
    Step {
        says: "Somebody switches the controller off and on. It counts from zero again.",
        action: Action::Happens {
            line: "focuser power-cycle",
            device: Focuser::KIND,
            key: "homed",
            is: false,
        },
    },
    run(
        "alice",
        "focus status",
        0,
        "the controller was power-cycled",
        "The old position would be wrong now, so there is none until the next `focus init`.",
    ),
    run("alice", "focus set 3.2", 7, "not_homed", "And nothing moves until then."),
];
