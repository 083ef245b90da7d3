"""The threads that run requests."""

import asyncio
import time
from collections.abc import Iterator
from threading import Event

import pytest

from taskmonitor.serving import threads
from taskmonitor.serving.threads import Threads


@pytest.fixture
def by_turns() -> Iterator[Threads]:
    running = Threads("test", 4, at_once=1)
    yield running
    running.stop()


def test_by_turns_one_runs_at_a_time_however_long_the_others_wait(
    by_turns: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 1)
    at_it: list[int] = []
    most = 0

    def function() -> None:
        nonlocal most
        at_it.append(1)
        most = max(most, len(at_it))
        time.sleep(0.4)
        at_it.pop()

    async def all_at_once() -> None:
        await asyncio.gather(*(by_turns.run(function) for _ in range(5)))

    asyncio.run(all_at_once())
    assert most == 1


def test_one_that_takes_long_holds_the_others_up_once(
    by_turns: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 0.5)
    over = Event()

    async def past() -> list[int]:
        long = asyncio.create_task(by_turns.run(lambda: over.wait(60)))
        begun = time.monotonic()
        others = [await by_turns.run(lambda: 1) for _ in range(10)]
        assert time.monotonic() - begun < 3
        assert not long.done()
        over.set()
        assert await long
        return others

    assert asyncio.run(past()) == [1] * 10


def test_those_that_may_come_later_get_some_turns_and_leave_most(by_turns: Threads) -> None:
    done: list[str] = []

    async def a_crowd() -> None:
        begun = asyncio.create_task(by_turns.run(lambda: time.sleep(0.3)))
        await asyncio.sleep(0.1)
        crowd = [by_turns.run(lambda: done.append("later"), later=True) for _ in range(30)]
        others = [by_turns.run(lambda: done.append("first")) for _ in range(9)]
        await asyncio.gather(begun, *crowd, *others)

    asyncio.run(a_crowd())
    assert done.count("first") == 9
    assert done.count("later") == 30
    assert 2 <= done[: len(done) - done[::-1].index("first")].count("later") <= 4
