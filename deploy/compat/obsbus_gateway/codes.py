"""What the facade returns: the predecessors' numbers, each from the verdict on the bus."""

SUCCEEDED = 0
FAILED = 1
BLOCKED = 2
WRONG_ADDRESS = 3
NOT_CONNECTED = 7
NOT_DISCONNECTED = 8

# What the clients of each daemon have words for. They call anything else an unknown error.
CHILLER = frozenset({SUCCEEDED, FAILED, BLOCKED, WRONG_ADDRESS, 10})
FOCUSER = frozenset({SUCCEEDED, FAILED, BLOCKED, WRONG_ADDRESS, 6, NOT_CONNECTED, NOT_DISCONNECTED})


def returned(code, known):
    """The number for a code of the bus; everything that has none of its own is a failure."""
    return code if code in known else FAILED
