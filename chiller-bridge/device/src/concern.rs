//! The attentions that the chiller's bridge may raise beside those of every bridge. docs/faults.md is
//! made from this table.

bus::concerns! {
    ALARM = error(
        "alarm",
        "the unit has an alarm, or had one that nobody has cleared, by the vendor's names; the text says which of the two, or that it is unknown",
        "look at the unit first; then `chiller clear-alarms`, which puts it in standby. If the cause remains, the alarm comes back"
    );
    START_FAILED = error(
        "start_failed",
        "the unit was commanded to run and does not; the text says whether it acknowledged the command",
        "look at its panel (coolant? mode mismatch?). In manual mode `chiller enable` again; in automatic mode the bridge tries again by itself, after 1, 2, 5, then 10 minutes"
    );
    STOP_FAILED = warning(
        "stop_failed",
        "the unit was commanded to stand by and its pump still runs",
        "look at its panel; in manual mode `chiller disable` again. Nothing is lost while the pump runs"
    );
    CAMERA_WITHOUT_COOLING = error(
        "camera_without_cooling",
        "for `start_deadline` a powered camera has had no cooling water, too little, or an unknown amount; the text says which",
        "is it intended (manual mode)? If not, `chiller enable`, or `chiller mode auto`. If the chiller cannot run, warm the cameras up"
    );
    FREEZING_WITHOUT_FLOW = error(
        "freezing_without_flow",
        "frost is possible (the text says by which temperature) and the pump is off: manual mode, an alarm, or a failed start",
        "`chiller mode auto`, or drain it"
    );
    INPUT_STALE = warning(
        "input_stale",
        "a reading that automatic control needs (camera power, dome temperature) is old, missing or implausible; the text says which and why",
        "check the service that publishes it, and the names of channels and keys in the settings: a channel that was renamed there is missing here"
    );
    MANUAL_LONG = warning(
        "manual_long",
        "manual mode for longer than `manual_long` (12 h): automatic control does not protect the cameras",
        "`chiller mode auto`, if it was forgotten"
    );
    MODE_LOST = error(
        "mode_lost",
        "the saved mode could not be read, or only an older one: the mode is manual until somebody sets it, also over further restarts",
        "`chiller mode auto` or `chiller mode manual`, as intended"
    );
    MODE_NOT_SAVED = warning(
        "mode_not_saved",
        "the mode, or what was set last, could not be saved: a restart would forget it",
        "see `journal_failed`"
    );
    SETPOINT_CHANGED = warning(
        "setpoint_changed",
        "the unit's set point is not the one that was commanded last: it changed when the unit restarted (a power cut), or without a command over the bus (at its panel)",
        "`chiller setpoint` with the right one. With `restore_setpoint = true` the bridge does this by itself, once after each restart of the unit, and never if somebody may have chosen it at the panel"
    );
    READING_REFUSED = warning(
        "reading_refused",
        "the unit answers, but refuses to tell something (the text says what); that reading is empty. A temperature that it does not tell counts as it was for `input_hold`",
        "look at the unit's panel; if it goes on, switch the unit off and on"
    );
}
