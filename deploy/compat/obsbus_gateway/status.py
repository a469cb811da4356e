"""What `report_status` of the predecessors says, from the states on the bus. Pure.

A state that is missing, stale, or not connected is OFFLINE. A key that the predecessor left out is
left out, because its clients ask whether it is there.
"""

from .clock import parsed, to_the_second

OFFLINE = 0

CHILLER_IDLE, CHILLER_COOLING, CHILLER_HEATING = 1, 2, 3
CHILLER_LABELS = {CHILLER_IDLE: "IDLE", CHILLER_COOLING: "COOLING", CHILLER_HEATING: "HEATING"}
MANUAL, AUTOMATIC = 0, 1
# Without one of these the predecessor had not finished its first cycle, and said OFFLINE.
CHILLER_NEEDS = ("pump_on", "tec_mode", "tec_power", "water_temp", "setpoint_temp")

FOCUSER_IDLE, FOCUSER_MOVING = 1, 2
# A motor that is being stopped may still turn.
FOCUSER_STATUS = {"idle": FOCUSER_IDLE, "moving": FOCUSER_MOVING, "stopping": FOCUSER_MOVING}


def chiller_status(state, last_known, now):
    """`state` is `None` if it cannot be believed; `last_known` is the last one that was heard at all."""
    known = state or last_known or {}
    report = {
        "date": _date(known, now),
        # The predecessor began in automatic mode.
        "mode": MANUAL if known.get("mode") == "manual" else AUTOMATIC,
        "status": OFFLINE,
    }
    if not state or not state["connected"] or any(state.get(key) is None for key in CHILLER_NEEDS):
        return report
    status = CHILLER_IDLE
    if state["pump_on"]:
        status = {"cool": CHILLER_COOLING, "heat": CHILLER_HEATING}.get(state["tec_mode"], CHILLER_IDLE)
    report.update(
        status=status,
        status_label=CHILLER_LABELS[status],
        setpoint_temp=state["setpoint_temp"],
        water_temp=state["water_temp"],
        ambient_temp=state.get("ambient_temp"),
        dome_temp=state.get("dome_temp"),
        channels_enabled=list(state.get("channels_enabled") or []),
        antifreeze_enabled=bool(state.get("antifreeze_enabled")),
        tec_power=int(round(state["tec_power"])),
    )
    return report


def focuser_status(state, now):
    """`state` is `None` if it cannot be believed."""
    status = FOCUSER_STATUS.get((state or {}).get("status"), OFFLINE)
    if status == OFFLINE or not state["connected"] or not state["homed"] or state["current_mm"] is None:
        return {"date": to_the_second(now), "status": OFFLINE}
    target = state["target_mm"]
    return {
        "date": _date(state, now),
        "status": status,
        "current_mm": state["current_mm"],
        "target_mm": state["current_mm"] if target is None else target,
    }


def _date(state, now):
    return to_the_second(parsed(state.get("date")) or now)
