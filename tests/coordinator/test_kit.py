"""The test kit for authors of commands: coordinator.testing."""

from typing import Any

import pytest

from coordinator import testing
from coordinator.command import Command, Empty
from coordinator.executor import Handle
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import register
from coordinator.testing import Worker, crash_everywhere
from tests.coordinator.commands import LOG, Ending, Family, Length, Plain, Polled, Resumable, Series, Waiting


@register()
class Clumsy(Command[Empty, Empty]):
    """Take its own death for an error of its own, and begin something twice."""

    begun = 0

    def execute(self) -> None:
        Clumsy.begun += 1
        try:
            self.checkpoint("begun")
        except BaseException:  # noqa: BLE001 - that is what it is here for
            self.checkpoint("caught")


@register(resumable=True)
class Fragile(Command[Empty, Empty]):
    """Say that it can be resumed, when it cannot."""

    def execute(self) -> None:
        if self.saved:
            raise RuntimeError("it was there before")
        self.checkpoint("begun")


@pytest.fixture(autouse=True)
def empty_log(db: None) -> None:
    LOG.clear()
    Polled.polls = Clumsy.begun = 0


def test_a_killed_worker_has_done_what_it_committed_and_no_more() -> None:
    worker = Worker()
    handle = worker.submit(Resumable)
    worker.turn(kill_at="after-checkpoint:2")
    assert LOG == ["part0 hello", "part1 hello"]
    row = worker.row(handle)
    assert (row.status, row.checkpoint, row.executed) == (CommandStatus.ACTIVE, 2, False)
    assert worker.turn(14) == 0, "the dead worker's lease still holds"
    worker.run()
    assert LOG[2:] == ["part2 hello"]
    assert handle.result() == Length(letters=3)


def test_before_a_commit_is_before_it() -> None:
    worker = Worker()
    handle = worker.submit(Resumable)
    worker.run(kill_at="before-checkpoint:2")
    assert worker.row(handle).checkpoint == 1


def test_a_dead_worker_commits_nothing_whatever_catches_its_death() -> None:
    worker = Worker()
    handle = worker.submit(Clumsy)
    worker.run(kill_at="before-checkpoint")
    assert worker.row(handle).checkpoint is None
    worker.run()
    assert worker.row(handle).error == "A restart cut it off while it executed."
    assert Clumsy.begun == 1


def test_to_miss_the_place_of_death_is_an_error() -> None:
    worker = Worker()
    worker.submit(Plain)
    with pytest.raises(AssertionError, match="did not come to after-checkpoint"):
        worker.run(kill_at="after-checkpoint")


def test_events_come_to_those_who_wait() -> None:
    worker = Worker()
    handle = worker.submit(Waiting)
    worker.turn()
    worker.deliver(handle, "abc")
    worker.turn()
    assert handle.result() == Length(letters=3)
    served = worker.submit(Waiting)
    begin = worker.now
    worker.run(events={"news": "abcd"})
    assert served.result() == Length(letters=4)
    assert worker.now == begin


def test_what_never_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "MOST_PASSES", 20)
    worker = Worker()
    worker.submit(Polled, times=1000)
    with pytest.raises(AssertionError, match="not ended after 20 passes"):
        worker.run()


EVERYWHERE: list[tuple[type[Command[Any, Any]], dict[str, Any], list[str]]] = [
    (Plain, {}, ["begin", "end"]),
    (Plain, {"fail_in": "execute"}, ["begin", "end"]),
    (Ending, {}, ["begin", "settle", "end"]),
    (Ending, {"fail_in": "end_successfully"}, ["begin", "settle", "end-failed", "end"]),
    (Polled, {"fail_in": "answer"}, ["begin", "execute", "settle", "end"]),
    (Resumable, {}, ["begin", *["checkpoint"] * 3, "end"]),
    (Waiting, {"events": {"news": "abc"}}, ["begin", "execute", "deliver", "settle", "end"]),
    (
        Family,
        {"times": 2},
        ["begin", "execute", *["begin", "end"] * 2, "settle", "end"],
    ),
    (
        Series,
        {"times": 2},
        ["begin", "execute", "begin", "end", "poll", "begin", "end", "settle", "end"],
    ),
]


@pytest.mark.mission("S93", "S117")
@pytest.mark.parametrize(("command", "given", "commits"), EVERYWHERE)
def test_a_command_is_killed_everywhere_and_ends_properly(
    command: type[Command[Any, Any]], given: dict[str, Any], commits: list[str]
) -> None:
    ended: list[Handle] = []
    passed = crash_everywhere(command, check=ended.append, **given)
    assert passed == [f"{side}-{name}" for name in commits for side in ("before", "after")]
    assert len(ended) == len(passed) + 1
    assert not CommandEntity.objects.exclude(due_at=None).exists()


def test_a_command_that_does_not_survive_is_found_out() -> None:
    with pytest.raises(
        AssertionError, match=r"killed at after-checkpoint it is ENDED_WITH_FAILURE: .* before"
    ):
        crash_everywhere(Fragile)
