"""The time in the formats of the bus and of the predecessors."""

from datetime import datetime, timezone


def utc_now():
    return datetime.now(timezone.utc)


def bus_time(moment):
    """RFC 3339, UTC, milliseconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def to_the_second(moment):
    """As the predecessors write it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parsed(text):
    """A date with its offset from UTC; `None` if it is none."""
    if not isinstance(text, str):
        return None
    try:
        # Before 3.11 Python does not know the Z.
        moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def seconds_between(earlier, later):
    """Between two dates of the bus; `None` if one is missing."""
    earlier, later = parsed(earlier), parsed(later)
    return (later - earlier).total_seconds() if earlier and later else None
