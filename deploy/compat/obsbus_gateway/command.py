"""One command on the bus, from sending it to its verdict. It is sent once, whatever happens.

What became of it is told by its replies. If they were lost with a connection, the retained state and
the recent events of the device tell it; so nothing has to be asked again.
"""

import json
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Optional

from .clock import bus_time, seconds_between, utc_now

LOG = logging.getLogger(__name__)

STOPPED = 28
# Seconds.
GRACE = 30  # for a broker or bridge that is away, after the deadline of a command
START = 5  # for a bridge that is online and does not admit commands yet
SHOWN = 3  # for the state that shows the outcome


@dataclass(frozen=True)
class Verdict:
    """`code` is that of the bus. `None`: it was not sent, or nobody knows what became of it."""

    code: Optional[int]
    message: str
    sent: bool = True


@dataclass(frozen=True)
class Order:
    """What is wanted, and how long its sender waits."""

    verb: str
    arguments: dict
    deliver_within: float  # s, for broker and bridge to be there
    valid_for: float  # s, after which the bridge refuses it
    answer_within: float  # s from sending, for the first answer
    grace: float = 0  # s longer, if the connection was lost meanwhile
    motion: bool = False


class Ticket:
    """A command that was sent, or is about to be. Guarded by the lock of the session."""

    def __init__(self, order, device, identity):
        self.order, self.device, self.identity = order, device, identity
        self.id = f"gw-{uuid.uuid4()}"
        self.accepted = None
        self.verdict = None
        self.reply = None  # the terminal one
        self.give_up = None  # on the monotonic clock
        self.sent_on = self.mid = None  # connection, and message on it
        self.detached = False  # nobody waits for the verdict

    def hear(self, reply):
        if self.verdict:
            return
        if reply["code"] is None:
            if self.accepted is None:
                self.accepted = reply
                limit = seconds_between(reply["received_at"], reply["deadline"]) or 0
                self.give_up = time.monotonic() + limit + GRACE
            return
        self.reply = reply
        self.end(Verdict(reply["code"], reply["message"]))

    def end(self, verdict):
        self.verdict = verdict
        if self.detached and verdict.code != 0:
            level = logging.INFO if verdict.code == STOPPED else logging.WARNING
            LOG.log(level, "%s of %s was accepted and then ended otherwise: %s", *self.words(), verdict.message)

    def words(self):
        arguments = " ".join(str(value) for value in self.order.arguments.values())
        return f"{self.order.verb} {arguments}".strip(), f"{self.device.base} by {self.identity}"

    def look(self):
        """Takes the verdict from what the device publishes, in case the reply was lost."""
        found = None if self.verdict else self.device.verdict(self.identity, self.id)
        if found:
            self.end(Verdict(*found))
        return self.verdict


class Session:
    """The commands of one identity. `changed` guards it, the devices, and the connection."""

    def __init__(self, connection, changed):
        self.connection, self.changed = connection, changed
        self.identity = connection.account.identity
        self.tickets = {}

    def hear(self, topic, payload):
        """A reply, with the lock held."""
        ticket = self.tickets.get(topic.rsplit("/", 1)[1])
        if ticket:
            ticket.hear(json.loads(payload))
            if ticket.verdict and ticket.detached:
                del self.tickets[ticket.id]

    def until_accepted(self, ticket, is_wanted):
        """Sends it, and returns when the device has accepted it (`None`) or at its verdict."""
        verdict = self._send(ticket, is_wanted)
        with self.changed:
            verdict = verdict or self._first_answer(ticket)
            if verdict:
                self.tickets.pop(ticket.id, None)
            else:
                ticket.detached = True
            return verdict

    def until_ended(self, ticket, is_wanted):
        """Sends it, and returns its verdict when the state shows it."""
        verdict = self._send(ticket, is_wanted)
        with self.changed:
            verdict = verdict or self._first_answer(ticket)
            if verdict is None:
                self._wait(ticket.look, ticket.give_up - time.monotonic())
                verdict = ticket.verdict or Verdict(None, "there was no verdict: the outcome is not known")
            self.tickets.pop(ticket.id, None)
            if ticket.reply and ticket.accepted:
                # The state comes over another connection.
                shown = lambda: ticket.device.shows(ticket.id, ticket.reply["finished_at"])
                self._wait(shown, SHOWN)
            return verdict

    def _send(self, ticket, is_wanted):
        """`None` if it was sent."""
        with self.changed:
            problem = self._until_deliverable(ticket.order, ticket.device, is_wanted)
            if problem:
                return Verdict(None, f"not sent: {problem}", sent=False)
            self._forget_ended()
            self.tickets[ticket.id] = ticket
            ticket.sent_on = self.connection.number
        order = ticket.order
        payload = {
            "id": ticket.id, "ts": bus_time(utc_now()), "ttl_s": order.valid_for, **order.arguments,
        }
        topic = f"{ticket.device.base}/command/{self.identity}/{order.verb}"
        # Without the lock: paho holds one of its own while it calls back.
        ticket.mid = self.connection.command(topic, json.dumps(payload), order.valid_for)
        if ticket.mid is None:
            return Verdict(None, "not sent: the connection to the broker was lost", sent=False)
        return None

    # --- With the lock held

    def _until_deliverable(self, order, device, is_wanted):
        """Waits until it can be sent; says why not, if not."""
        is_there = lambda: self.connection.is_up() and device.is_online()
        if order.verb == "stop":
            # It is sent whatever is known of the bridge.
            is_there = self.connection.is_up
        if not self._wait(lambda: is_there() or not is_wanted(), order.deliver_within, again=1):
            where = f"the bridge of {device.base}" if self.connection.is_up() else "the broker"
            return f"{where} was not there for {order.deliver_within:g} s"
        if order.motion:
            # Else it would be refused, because it came a moment too early.
            self._wait(lambda: device.admits_motion(time.monotonic()) or not is_there(), START)
        return None if is_wanted() else "its caller has gone"

    def _forget_ended(self):
        """Those that nobody waits for, and whose reply was lost."""
        now = time.monotonic()
        for ticket in list(self.tickets.values()):
            if ticket.detached and (ticket.look() or now > ticket.give_up):
                del self.tickets[ticket.id]

    def _first_answer(self, ticket):
        """The verdict, or `None` if it was accepted."""
        is_refused = lambda: (
            ticket.mid in self.connection.refused and ticket.sent_on == self.connection.number
        )
        is_known = lambda: ticket.accepted or ticket.look() or is_refused()
        if not self._wait(is_known, ticket.order.answer_within) and self.connection.number != ticket.sent_on:
            self._wait(is_known, ticket.order.grace)
        if ticket.verdict or ticket.accepted:
            return ticket.verdict
        if is_refused():
            return Verdict(3, f"the broker does not let {self.identity} send commands")
        return Verdict(None, "no answer: whether it was done is not known")

    def _wait(self, condition, seconds, again=None):
        """`again`: seconds after which to look, although nothing was heard."""
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.changed.wait(left if again is None else min(left, again))
        return True
