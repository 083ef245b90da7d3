"""Steps of the machine's clock."""

from datetime import UTC, datetime, timedelta

import pytest

from coordinator import clock
from coordinator.clock import Clock
from coordinator.engine.queue import claim
from tests.coordinator.commands import Plain
from tests.coordinator.conftest import Engine

HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=15)


class Time:
    """A clock on the wall, and one that nobody can set."""

    def __init__(self) -> None:
        self.now, self.monotonic = datetime(2026, 11, 21, tzinfo=UTC), 100.0

    def passes(self, seconds: float, step: timedelta = timedelta(0)) -> None:
        self.monotonic += seconds
        self.now += timedelta(seconds=seconds) + step


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(clock, "monotonic", lambda: time.monotonic)
    return time


def test_time_that_passes_is_no_step(time: Time) -> None:
    known = Clock(time.now)
    for _ in range(100):
        time.passes(60, timedelta(milliseconds=900))  # a clock that is wrong, too
        assert not known.was_set_back(time.now)
        assert known.leases_at(time.now) == time.now


def test_a_clock_that_is_set_back_is_noticed_once(time: Time) -> None:
    known = Clock(time.now)
    time.passes(1, -HOUR)
    assert known.was_set_back(time.now)
    assert not known.was_set_back(time.now)
    assert known.leases_at(time.now) == time.now


def test_leases_are_judged_by_the_old_time_until_the_living_have_renewed_theirs(time: Time) -> None:
    known = Clock(time.now)
    for _ in range(2):
        time.passes(1, HOUR)
        assert not known.was_set_back(time.now)
    assert known.leases_at(time.now) == time.now - 2 * HOUR
    time.passes(LEASE.total_seconds())
    assert known.leases_at(time.now) == time.now


def test_what_is_held_by_the_old_time_is_not_claimed(engine: Engine) -> None:
    engine.submit(Plain)
    assert claim(engine.now, worker="x/0/0", limit=1)
    engine.now += HOUR
    assert not claim(engine.now, lapsed=engine.now - HOUR, worker="y/0/0", limit=1)
    assert claim(engine.now, worker="y/0/0", limit=1)
