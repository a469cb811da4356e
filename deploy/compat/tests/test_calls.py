"""Which calls are the same one."""

import socket
import threading

import pytest
from obsbus_gateway.calls import HELD, Calls, Wire

KEY = ("192.0.2.1", "clasp/focuser", "set_focus", (0.05, True))


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Caller:
    """A client's connection, with the gateway's end of it."""

    open = []  # otherwise Python closes what nobody holds

    def __init__(self):
        self.end, gateways_end = socket.socketpair()
        self.wire = Wire(gateways_end)
        self.open.append(self)

    def leave(self):
        self.end.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def calls(clock):
    return Calls(failure=1, clock=clock)


class Work:
    """A command that ends when the test says so."""

    def __init__(self):
        self.begun, self.end = threading.Event(), threading.Event()
        self.times = 0

    def __call__(self, call):
        self.times += 1
        self.begun.set()
        self.end.wait(10)
        return 0


def started(calls, caller, work):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(calls.run(KEY, caller.wire, work)))
    thread.start()
    return thread, outcome


def test_an_identical_call_joins_the_one_that_runs(calls):
    work = Work()
    first = started(calls, Caller(), work)
    assert work.begun.wait(10)
    second = started(calls, Caller(), work)
    while calls.calls[KEY].deliveries[1:] == []:
        pass
    work.end.set()
    for thread, _ in (first, second):
        thread.join(10)
    assert [outcome[0][0] for _, outcome in (first, second)] == [0, 0]
    assert work.times == 1


def test_another_caller_or_argument_is_another_call(calls):
    ran = []
    for key in (KEY, ("192.0.2.2", *KEY[1:]), (*KEY[:3], (0.05, False))):
        code, delivery = calls.run(key, Caller().wire, lambda call, key=key: ran.append(key) or 0)
        delivery.sent()
    assert len(ran) == 3


def test_an_outcome_that_arrived_is_not_given_again(calls):
    ran = []
    for _ in range(2):
        _, delivery = calls.run(KEY, Caller().wire, lambda call: ran.append(1) or 0)
        delivery.sent()
    assert len(ran) == 2, "a repeated offset is a new order"


def test_an_outcome_that_reached_nobody_is_given_to_who_calls_again(calls, clock):
    ran = []
    caller = Caller()
    caller.leave()
    calls.run(KEY, caller.wire, lambda call: ran.append(1) or 6)
    clock.now += HELD
    code, delivery = calls.run(KEY, Caller().wire, lambda call: ran.append(1) or 0)
    assert (code, len(ran)) == (6, 1)
    delivery.sent()
    calls.run(KEY, Caller().wire, lambda call: ran.append(1) or 0)
    assert len(ran) == 2, "it is given once"


def test_it_is_forgotten_after_ten_seconds(calls, clock):
    ran = []
    caller = Caller()
    caller.leave()
    calls.run(KEY, caller.wire, lambda call: ran.append(1) or 6)
    clock.now += HELD + 0.1
    assert calls.run(KEY, Caller().wire, lambda call: ran.append(1) or 0)[0] == 0
    assert len(ran) == 2


def test_an_answer_that_could_not_be_sent_reached_nobody(calls):
    _, delivery = calls.run(KEY, Caller().wire, lambda call: 6)
    delivery.failed()
    assert calls.run(KEY, Caller().wire, lambda call: 0)[0] == 6


def test_a_call_that_nobody_waits_for_is_not_wanted(calls):
    caller, seen = Caller(), []

    def work(call):
        seen.append(call.is_wanted())
        caller.leave()
        seen.append(call.is_wanted())
        return 0

    calls.run(KEY, caller.wire, work)
    assert seen == [True, False]


def test_a_call_that_breaks_is_a_failure(calls):
    with pytest.raises(RuntimeError):
        calls.run(KEY, Caller().wire, broken)
    assert calls.running() == 0


def broken(_call):
    raise RuntimeError("broken")
