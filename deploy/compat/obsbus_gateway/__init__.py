"""Pyro services of an observatory on the bus, and its chiller and focuser for Pyro clients."""

__version__ = "0.1.0"
