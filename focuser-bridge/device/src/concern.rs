//! The attentions that the focuser's bridge may raise beside those of every bridge. docs/faults.md is
//! made from this table.

bus::concerns! {
    NOT_HOMED = warning(
        "not_homed",
        "its position is unknown; the text says why, and where it last stood",
        "check that nothing is in its way, then `focus init`, then `focus set` to where it stood ([more](focuser.md#homing-and-after-a-power-cut))"
    );
    MOVE_FAILED = error(
        "move_failed",
        "the motor was ordered to move and did not reach its target. It stays, also over a restart, until a move reaches its target or the inner end is found",
        "is something in its way? is it jammed ([recovery](recovery.md#the-focuser-is-jammed))? Then `focus set` again"
    );
    FAULT = error(
        "fault",
        "no standstill was seen after a stop, homing failed, or the inner end is not where it was; the text says which",
        "**look at the focuser**; if it moves, pull its plug. Then see [when it says FAULT](focuser.md#when-it-says-fault)"
    );
    STATUS_WORD = warning(
        "status_word",
        "the first letter of the controller's status is not `N`. Nobody has seen another one, so its meaning is unknown",
        "look at the focuser and its power, and tell us"
    );
    RELEASE_OWED = warning(
        "release_owed",
        "it was killed while it did not answer: as soon as it does, the bridge stops and releases it",
        "if it may be moving, pull its plug. `focus init` when nobody works on it any more"
    );
    RELEASED = warning(
        "released",
        "it was killed (`focus kill`): the bridge does not talk to it, also over a restart",
        "ask whether somebody works on it; if nobody does, `focus init`"
    );
}
