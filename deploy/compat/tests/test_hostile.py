"""What a client may send, and how many may connect: nobody keeps others from being served."""

import contextlib
import socket
import threading
import time
import zlib

import pytest
from clients import FOCUSER
from Pyro4 import message
from stand import wait_for
from test_figures import memory
from test_outwards import STRANGER, ended, settled

SERPENT = 1


def connected(gateway, address="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", gateway.focuser_port), 10, (address, 0))


def greeting():
    data = b"# serpent utf-8 python3.2\n{'handshake': 'hello', 'object': '%s'}" % FOCUSER.encode()
    return message.Message(message.MSG_CONNECT, data, SERPENT, message.FLAGS_META_ON_CONNECT, 1).to_bytes()


def request(data, flags=0, annotations=None):
    return message.Message(message.MSG_INVOKE, data, SERPENT, flags, 2, annotations).to_bytes()


def call(arguments, method="set_focus"):
    """A request, with its arguments as somebody else has written them."""
    return request(b"# serpent utf-8 python3.2\n('%s', '%s', %s, {})" % (FOCUSER.encode(), method.encode(), arguments))


def greeted(gateway, address="127.0.0.1"):
    opened = connected(gateway, address)
    opened.sendall(greeting())
    receive(opened)
    return opened


def receive(opened):
    """A message; `None` if the gateway has hung up."""
    try:
        header = opened.recv(message.Message.header_size, socket.MSG_WAITALL)
        if len(header) < message.Message.header_size:
            return None
        head = message.Message.from_header(header)
        opened.recv(head.annotations_size, socket.MSG_WAITALL)
        head.data = opened.recv(head.data_size, socket.MSG_WAITALL)
        return head
    except ConnectionError:
        return None


@contextlib.contextmanager
def all_closed(connections):
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def is_served(client):
    """A report and a stop, as quickly as ever."""
    began = time.monotonic()
    assert client.call("report_status", timeout=1)["status"] == 1
    assert client.call("stop") == 0
    return time.monotonic() - began < 1


# --- Connections


@pytest.mark.parametrize("address", [STRANGER, "127.0.0.1"])
def test_who_connects_and_says_nothing_keeps_nobody_from_being_served(gateway, focuser, address):
    with all_closed([connected(gateway, address) for _ in range(150)]):
        assert is_served(focuser)


def test_who_greets_and_says_no_more_keeps_nobody_from_being_served(gateway, focuser):
    with all_closed([greeted(gateway, f"127.0.1.{number % 200 + 1}") for number in range(150)]):
        assert is_served(focuser)


def test_connections_that_come_and_go_all_the_time_keep_nobody_from_being_served(gateway, focuser):
    is_over = threading.Event()

    def come_and_go():
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                connected(gateway, STRANGER).close()

    threads = [threading.Thread(target=come_and_go, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert focuser.call("report_status", timeout=5)["status"] == 1
        assert focuser.call("stop") == 0
    finally:
        is_over.set()
        for thread in threads:
            thread.join(10)


@pytest.mark.parametrize("begin", [connected, greeted])
def test_who_sends_a_byte_now_and_then_is_hung_up_on(gateway, focuser, begin):
    with all_closed([begin(gateway, STRANGER)]) as (slow,):
        began = time.monotonic()
        text = greeting() if begin is connected else call(b"(1.0,)")
        for number in range(60):
            try:
                slow.sendall(text[number : number + 1])
            except ConnectionError:
                break
            slow.settimeout(0.2)
            try:
                slow.recv(1)
            except socket.timeout:
                continue
            except ConnectionError:
                break
        assert 3 < time.monotonic() - began < 9
    assert is_served(focuser)


def test_who_asks_and_does_not_take_the_answers_is_hung_up_on(gateway, focuser):
    with all_closed([greeted(gateway, STRANGER)]) as (greedy,):
        question = request(b"# serpent utf-8 python3.2\n('%s', 'report_status', (), {})" % FOCUSER.encode()) * 100
        greedy.settimeout(0.5)
        began = time.monotonic()

        def is_hung_up():
            try:
                greedy.sendall(question)
            except socket.timeout:
                return False
            except ConnectionError:
                return True

        wait_for("end of the connection", is_hung_up, 40)
        assert time.monotonic() - began > 1
    assert is_served(focuser)


def test_a_caller_with_all_his_calls_waiting_does_not_keep_others_from_stopping(gateway, focuser):
    assert focuser.call("set_focus", 0.5, timeout=300) == 0
    moves = [focuser.later("set_focus", 5.5) for _ in range(40)]
    wait_for("motion", lambda: focuser.at(STRANGER).call("report_status")["status"] == 2)
    assert focuser.at("127.0.0.2").call("stop") == 0
    outcomes = [move.outcome() for move in moves]
    assert set(filter(lambda outcome: isinstance(outcome, int), outcomes)) == {1}
    assert outcomes.count(1) >= 20


# --- Requests


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(request(zlib.compress(b" " * 50_000_000, 9)[:8000], message.FLAGS_COMPRESSED), id="compressed"),
        pytest.param(request(b"x", message.FLAGS_KEEPSERIALIZED, {"BLBI": b"\xfa" * 50}), id="marshalled"),
        pytest.param(request(b"x", message.FLAGS_BATCH), id="batched"),
        pytest.param(call(b"'" + b"x" * 100_000 + b"'"), id="large"),
        pytest.param(call(b"(1.0,)").replace(b"PYRO", b"HTTP"), id="no-pyro"),
        pytest.param(b"PYRO" + b"\xff" * 500, id="noise"),
    ],
)
def test_a_message_that_no_old_client_sends_ends_its_connection(gateway, focuser, text):
    before = memory(gateway)
    with all_closed([greeted(gateway, STRANGER)]) as (opened,):
        with contextlib.suppress(ConnectionError):
            opened.sendall(text)
        assert receive(opened) is None
    assert is_served(focuser)
    assert memory(gateway) - before < 5


@pytest.mark.parametrize(
    "arguments",
    [
        b"(" * 3000, b"(" * 150 + b"1" + b",)" * 150, b"[" * 190 + b"]" * 190, b"(" + b"-" * 7000 + b"1,)",
        b"(" + b"1+" * 3500 + b"1,)", b"(" + b"not " * 1800 + b"1,)", b"(1" + b"0" * 4000 + b",)",
        b"(1" + b"0" * 7000 + b",)", b"(1e999,)", b"({'__class__': 'float', 'value': 'nan'},)",
        b"({'__class__': 'Pyro4.core.Proxy', 'state': ('PYRO:x@127.0.0.1:9', [], [], [], None, '', [], 0, 0)},)",
        b"({'__class__': 'Pyro4.core.Daemon'},)", b"('\\ud800',)", b"('\xff\xfe',)", "('２',)".encode(), b"(2j,)",
        b"(b'2',)", b"({1, 2},)", b"(None,)", b"(...,)", b"(1.0, 'no')", b"(1.0, [])", b"(1.0, {})", b"(1.0, None)",
        b"(1.0, 2)", b"(True,)", b"()", b"(1.0, False, 3)", b"7",
    ],
    ids=lambda arguments: repr(arguments[:30]),
)
def test_arguments_of_any_kind_move_nothing_and_break_nothing(stand, bus, gateway, focuser, arguments):
    assert focuser.call("set_focus", 2.0, timeout=300) == 0
    place = settled(stand, bus)
    with all_closed([greeted(gateway)]) as (opened,):
        opened.sendall(call(arguments))
        answer = receive(opened)
        # 1, or an error that names what was wrong.
        assert answer is None or answer.flags & message.FLAGS_EXCEPTION or answer.data.endswith(b"\n1")
    assert focuser.call("set_focus", 2.001, timeout=300) == 0
    ended(bus, place)


def test_unicode_is_no_name_of_a_method(gateway, focuser):
    for method in ("ｓｔｏｐ", "__init__", "_end", "_device", "stop\0", "x" * 3000):
        with all_closed([greeted(gateway)]) as (opened,):
            opened.sendall(request(f"# serpent utf-8 python3.2\n('{FOCUSER}', {method!r}, (), {{}})".encode()))
            answer = receive(opened)
            assert answer is None or answer.flags & message.FLAGS_EXCEPTION, method
    assert is_served(focuser)


def test_calls_that_want_no_answer_are_made_one_after_the_other(gateway, focuser):
    threads = lambda: int(open(f"/proc/{gateway.process.pid}/status").read().split("Threads:")[1].split()[0])
    before = threads()
    text = b"# serpent utf-8 python3.2\n('%s', 'report_status', (), {})" % FOCUSER.encode()
    with all_closed([greeted(gateway, STRANGER)]) as (opened,):
        opened.sendall(request(text, message.FLAGS_ONEWAY) * 500 + request(text))
        most = threads()
        assert b"status" in receive(opened).data
    assert most - before < 5


def test_many_strangers_do_not_fill_the_log(gateway, focuser):
    lines = lambda: gateway.text().count("the address is under no [[caller]]")
    before = lines()
    for number in range(100):
        assert focuser.at(f"127.0.2.{number + 1}").call("set_focus", 1.0) == 3
    assert lines() - before <= 20
