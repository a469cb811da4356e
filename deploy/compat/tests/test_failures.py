"""What happens to a gateway that fails at each start."""

import pytest
from obsbus_gateway import failures
from obsbus_gateway.failures import Failures


@pytest.fixture
def start(tmp_path):
    """Starts it once; returns it, and for how long it waited."""

    def start():
        waited = []
        begun = Failures({"RUNTIME_DIRECTORY": str(tmp_path)})
        begun.began(waited.append)
        return begun, sum(waited)

    return start


def test_it_waits_longer_and_longer_but_not_for_ever(start):
    assert [start()[1] for _ in range(12)] == [0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_start_that_succeeded_is_the_end_of_that(start):
    for _ in range(5):
        begun, _ = start()
    begun.succeeded()
    assert start()[1] == 0


def test_it_has_succeeded_when_it_ran_for_a_minute(start, monkeypatch):
    for _ in range(5):
        begun, waited = start()
    begun.runs()
    assert start()[1] == 8, "not yet"
    now = begun.until + 1
    monkeypatch.setattr(failures.time, "monotonic", lambda: now)
    begun.runs()
    monkeypatch.undo()
    assert start()[1] == 0


def test_a_count_that_cannot_be_read_is_none(start, tmp_path):
    (tmp_path / "failures").write_text("x")
    assert start()[1] == 0


def test_without_a_runtime_directory_nothing_is_counted():
    begun = Failures({})
    begun.began(lambda _: pytest.fail("it waits"))
    begun.runs()
    begun.succeeded()
