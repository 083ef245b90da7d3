"""A command from its submission to its end."""

import time
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from coordinator.command import Command, Empty, Succeeded
from coordinator.executor import CommandFailed, Handle, deliver
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import register
from taskmonitor.errors import Conflict, Invalid
from taskmonitor.models import Job
from tests.coordinator.commands import (
    LOG,
    Ending,
    Family,
    Length,
    Logging,
    Plain,
    Polled,
    Quiet,
    Resumable,
    Series,
    Waiting,
    Word,
)
from tests.coordinator.conftest import Engine


def steps(job: Job) -> list[tuple[str, str, int]]:
    return [(step.type, step.status, step.depth) for step in job.steps.order_by("depth", "number")]


def test_a_plain_command_ends_with_its_execute(engine: Engine) -> None:
    handle = engine.submit(Plain, word="abc")
    assert handle.status == CommandStatus.NOT_STARTED
    assert engine.turn() == 1
    assert handle.result() == Length(letters=3)
    assert LOG == ["execute abc"]
    row = engine.row(handle)
    assert row.executed
    assert row.callback_notified
    assert (row.due_at, row.lease_until) == (None, None)
    job = Job.objects.get()
    assert (job.status, job.external, job.auto_cleared, job.action_type) == ("FINISHED", False, True, "Plain")
    assert steps(job) == [
        ("VALIDATING", "FINISHED", 0),
        ("EXECUTING", "FINISHED", 0),
        ("FINALIZING", "FINISHED", 0),
    ]
    assert (job.steps_total, job.steps_open, job.steps_bad) == (3, 0, 0)


def test_one_that_is_not_monitored_is_not_shown(engine: Engine) -> None:
    handle = engine.submit(Quiet)
    engine.turn()
    assert handle.done()
    assert not Job.objects.exists()


def test_an_exception_fails_it_with_its_reason(engine: Engine) -> None:
    handle = engine.submit(Plain, fail_in="execute")
    engine.turn()
    with pytest.raises(CommandFailed, match="RuntimeError: no execute"):
        handle.result()
    row = engine.row(handle)
    assert not row.executed
    assert "in execute" in row.trace
    job = Job.objects.get()
    assert (job.status, job.reason) == ("FAILED", "RuntimeError: no execute")


@pytest.mark.parametrize(
    ("parameters", "field"), [({"word": "bad"}, "word"), ({"times": "x"}, "parameters.times")]
)
def test_what_is_invalid_is_refused_before_anything_is_stored(
    engine: Engine, parameters: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        engine.submit(Plain, **parameters)
    assert refusal.value.field == field
    assert not CommandEntity.objects.exists()
    assert not Job.objects.exists()


def test_end_methods_run_after_the_work(engine: Engine) -> None:
    engine.submit(Ending, word="good")
    engine.turn()
    engine.submit(Ending, word="bad end", fail_in="execute")
    engine.turn()
    assert LOG == ["execute good", "end_successfully good", "execute bad end", "end_with_failure bad end"]


def test_polls_come_ever_later_until_it_is_settled(engine: Engine) -> None:
    handle = engine.submit(Polled, times=6)
    begin = engine.now
    seen = []
    while not handle.done():
        polls = Polled.polls
        engine.turn(0.5)
        if Polled.polls > polls:
            seen.append((engine.now - begin).total_seconds())
    assert [round(later - earlier) for earlier, later in pairwise(seen)] == [
        2,
        4,
        8,
        10,
        10,
    ]
    assert handle.result() == Length(letters=6)


def test_a_poll_that_raises_fails_it(engine: Engine) -> None:
    handle = engine.submit(Polled, fail_in="poll")
    engine.run()
    assert engine.row(handle).error == "RuntimeError: no poll"
    assert LOG == ["execute hello", "poll hello", "end_with_failure hello"]


def test_children_run_side_by_side_and_all_are_awaited(engine: Engine) -> None:
    handle = engine.submit(Family, times=3, fail_in="child")
    engine.run()
    assert LOG == [
        "execute hello",
        "execute child0",
        "execute child1",
        "execute child2",
        "end_with_failure hello",
    ]
    assert engine.row(handle).error == "1 of its child commands failed, first Plain."
    job = Job.objects.get()
    assert steps(job) == [
        ("VALIDATING", "FINISHED", 0),
        ("EXECUTING", "FAILED", 0),
        ("FINALIZING", "FAILED", 0),
        ("EXECUTING", "FINISHED", 1),
        ("EXECUTING", "FAILED", 1),
        ("EXECUTING", "FINISHED", 1),
    ]


def test_a_parent_is_looked_at_as_soon_as_a_child_has_ended(engine: Engine) -> None:
    handle = engine.submit(Family, times=2)
    engine.turn()
    engine.turn()
    assert engine.row(handle).due_at == engine.now
    engine.turn()
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY


def test_serial_operations_come_one_after_the_other(engine: Engine) -> None:
    handle = engine.submit(Series, times=2)
    begin = engine.now
    engine.run()
    assert engine.now == begin
    assert LOG[1:] == [
        "operation0 hello",
        "execute child0",
        "operation1 hello",
        "execute child1",
        "operation2 hello",
        "end_successfully hello",
    ]
    assert engine.row(handle).stage == 2


@register()
class Tireless(Logging):
    """Have operations without end that add no children."""

    def perform_next_operation(self, completed: int) -> bool:
        self.note(f"operation{completed}")
        return True


def test_operations_that_add_no_children_come_at_the_pace_of_polls(engine: Engine) -> None:
    engine.submit(Tireless)
    begin, seen = engine.now, []
    for _ in range(100):
        done = len(LOG)
        engine.turn(0.5)
        seen += [(engine.now - begin).total_seconds()] * (len(LOG) - done)
    assert [round(later - earlier) for earlier, later in pairwise(seen)] == [0, 1, 2, 4, 8, 10, 10, 10]


def test_no_serial_operation_follows_one_that_failed(engine: Engine) -> None:
    handle = engine.submit(Series, times=3, fail_in="child")
    engine.run()
    assert LOG[-2:] == ["handle_failure hello", "end_with_failure hello"]
    assert handle.status == CommandStatus.ENDED_WITH_FAILURE
    assert "operation2 hello" not in LOG


def test_an_event_ends_the_waiting(engine: Engine) -> None:
    handle = engine.submit(Waiting)
    engine.turn()
    assert engine.row(handle).waits_for == "news"
    assert engine.turn(30) == 0
    deliver(handle.command_id, "abcd", now=engine.now)
    with pytest.raises(Conflict):
        deliver(handle.command_id, "again", now=engine.now)
    engine.turn()
    assert handle.result() == Length(letters=4)


def test_an_event_may_come_before_it_is_waited_for(engine: Engine) -> None:
    handle = engine.submit(Waiting)
    deliver(handle.command_id, "abcd", now=engine.now)
    engine.turn()
    engine.turn()
    assert handle.result() == Length(letters=4)


def test_an_event_that_does_not_come_is_asked_for(engine: Engine) -> None:
    engine.submit(Waiting)
    engine.turn()
    assert engine.turn(61) == 1


def interrupted(engine: Engine, kind: type[Command[Any, Any]], **fields: Any) -> Handle:
    """A command whose worker died within its `execute`."""
    handle = engine.submit(kind)
    row = CommandEntity.objects.filter(pk=handle.command_id)
    row.update(status=CommandStatus.ACTIVE, attempts=1, **fields)
    return handle


def test_what_was_cut_off_fails(engine: Engine) -> None:
    handle = interrupted(engine, Ending)
    engine.turn()
    assert engine.row(handle).error == "A restart cut it off while it executed."
    assert handle.status == CommandStatus.ENDED_WITH_FAILURE
    assert LOG == ["end_with_failure hello"]


def test_what_was_cut_off_goes_on_from_its_checkpoint_if_it_can(engine: Engine) -> None:
    handle = interrupted(engine, Resumable, checkpoint=2)
    engine.turn()
    assert LOG == ["part2 hello"]
    assert handle.result() == Length(letters=3)
    assert engine.row(handle).attempts == 2


def test_it_is_not_begun_for_ever(engine: Engine) -> None:
    handle = interrupted(engine, Resumable)
    CommandEntity.objects.update(attempts=5)
    engine.turn()
    assert engine.row(handle).error == "A restart cut it off while it executed, after 5 attempts."


def test_one_that_is_active_for_too_long_fails(engine: Engine) -> None:
    handle = engine.submit(Polled, times=10_000)
    engine.turn()
    engine.turn(1)
    engine.turn(timedelta(days=3).total_seconds())
    assert "longer than" in engine.row(handle).error


UNBUILDABLE = {
    "no command named os.system": {"command_type": "os.system"},
    "times": {"command_parameters": '{"times": "x"}'},
    "JSON": {"command_parameters": "\x80\x04]"},
}


def test_a_models_class_may_be_renamed(engine: Engine) -> None:
    handle = engine.submit(Plain)
    CommandEntity.objects.update(command_params_class="Older")
    engine.run()
    assert handle.result() == Length(letters=5)


@pytest.mark.parametrize(("reason", "fields"), UNBUILDABLE.items(), ids=UNBUILDABLE)
def test_a_row_that_cannot_be_rebuilt_is_set_aside(
    engine: Engine, fields: dict[str, str], reason: str
) -> None:
    bad = engine.submit(Plain)
    CommandEntity.objects.filter(pk=bad.command_id).update(**fields)
    good = engine.submit(Plain, word="next")
    engine.turn()
    row = engine.row(bad)
    assert (row.status, row.due_at) == (CommandStatus.HELD, None)
    assert reason in row.error
    assert good.status == CommandStatus.ENDED_SUCCESSFULLY
    assert LOG == ["execute next"]


@register(monitored=False, time_limit=timedelta(seconds=0.05))
class Endless(Command[Word, Length]):
    """Never return."""

    def execute(self) -> Length:
        while True:
            time.sleep(1)


@register(monitored=False, time_limit=timedelta(seconds=0.05))
class Stubborn(Command[Word, Length]):
    """Try again and again, whatever happens."""

    def execute(self) -> Length:
        for _ in range(3):
            with suppress(Exception):
                time.sleep(1)
        return Length(letters=0)


@pytest.mark.parametrize("kind", [Endless, Stubborn])
def test_one_that_does_not_return_fails_alone(engine: Engine, kind: type[Command[Any, Any]]) -> None:
    handle, after = engine.submit(kind), engine.submit(Plain)
    engine.turn()
    assert engine.row(handle).error == "TookTooLong: It took longer than its time_limit."
    assert after.status == CommandStatus.ENDED_SUCCESSFULLY


@register()
class Hopeless(Logging):
    """Have a child of a kind that nobody registered."""

    def execute(self) -> Any:
        self.add_child(Logging, Word())


def test_one_that_the_coordinator_cannot_handle_is_set_aside(engine: Engine) -> None:
    handle, after = engine.submit(Hopeless), engine.submit(Plain)
    engine.turn()
    assert "It cannot go on: AttributeError" in engine.row(handle).error
    assert handle.status == CommandStatus.HELD
    assert after.status == CommandStatus.ENDED_SUCCESSFULLY


@register()
class Garbling(Command[Word, Empty]):
    """Say things that no database keeps and no XML carries."""

    def execute(self) -> None:
        self.progress(text=self.parameters.word)
        raise RuntimeError(self.parameters.word)


@pytest.mark.parametrize("word", ["a\x00b", "a\x1bb", "a\ufffeb"])
def test_what_cannot_be_written_is_replaced_in_reasons_and_progress(engine: Engine, word: str) -> None:
    handle = engine.submit(Garbling, word=word)
    engine.turn()
    assert engine.row(handle).error == "RuntimeError: a\ufffdb"
    step = Job.objects.get().steps.get(type="EXECUTING")
    assert (step.reason, step.progress_text) == ("RuntimeError: a\ufffdb", "a\ufffdb")


@register()
class Faulty(Logging):
    """Have a fault where it says whether it can run."""

    def validate(self) -> None:
        raise ZeroDivisionError

    @property
    def description(self) -> str:
        raise ZeroDivisionError


def test_a_command_with_a_fault_of_its_own_is_not_stored(engine: Engine) -> None:
    with pytest.raises(Conflict, match="Faulty has a fault of its own, ZeroDivisionError"):
        engine.submit(Faulty)
    assert not CommandEntity.objects.exists()


@register(monitored=False)
class Forgetful(Logging):
    """Add a child, and not wait for it."""

    def execute(self) -> Any:
        return None

    def poll(self) -> Any:
        self.add_child(Plain, Word())
        return Succeeded()


def test_children_that_are_not_waited_for_are_not_forgotten_in_silence(engine: Engine) -> None:
    handle = engine.submit(Forgetful)
    engine.run()
    assert engine.row(handle).error == "It added child commands, and then did not wait for them."
    assert CommandEntity.objects.count() == 1


@register(monitored=False, resumable=True)
class Collecting(Command[Empty, Empty]):
    """Go on with the list that was kept."""

    def execute(self) -> None:
        self.saved.append(str(self.command_id))
        LOG.append(f"{len(self.saved)} kept")


def test_what_one_command_does_with_its_checkpoint_is_not_seen_by_another(engine: Engine) -> None:
    for _ in range(2):
        engine.submit(Collecting)
    CommandEntity.objects.update(status=CommandStatus.ACTIVE, attempts=1, checkpoint=[])
    assert engine.turn() == 2
    assert LOG == ["1 kept", "1 kept"]
