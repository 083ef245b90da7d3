"""What an answer, an order and an end lead to."""

from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest
from pydantic import BaseModel

from coordinator import operators
from coordinator.command import Answer, Command, Failed, Succeeded
from coordinator.executor import execute_async
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import register
from taskmonitor.errors import Conflict, Invalid
from taskmonitor.models import SYSTEM, Job, Step
from tests.coordinator.commands import LOG, Ending, Family, Length, Logging, Plain, Polled, Series, Word
from tests.coordinator.conftest import Engine

S = CommandStatus


@register()
class Replying(Command[Word, Length]):
    """Answer its execute as it is told to."""

    def execute(self) -> Any:
        return Failed("no space") if self.parameters.word == "bad end" else Succeeded(Length(letters=7))


def test_execute_may_answer(engine: Engine) -> None:
    good, bad = engine.submit(Replying), engine.submit(Replying, word="bad end")
    engine.run()
    assert good.result() == Length(letters=7)
    assert (bad.status, engine.row(bad).error) == (S.ENDED_WITH_FAILURE, "no space")


@register()
class Afterwards(Ending):
    """Have a child in the end, or before it says that it failed."""

    def execute(self) -> Any:
        self.note("execute")
        if self.parameters.times:
            self.add_child(Plain, Word(word="child"))
            return Failed("it gave up")
        return None

    def end_successfully(self) -> None:
        super().end_successfully()
        self.add_child(Plain, Word(word="child"))


@pytest.mark.parametrize("times", [0, 1])
def test_children_of_an_end_and_of_a_failure_are_stored_and_awaited(engine: Engine, times: int) -> None:
    handle = engine.submit(Afterwards, times=times)
    engine.run()
    end = "end_with_failure hello" if times else "end_successfully hello"
    assert sorted(LOG) == sorted(["execute hello", end, "execute child"])
    assert LOG.index("execute child") == (1 if times else 2)
    assert handle.status == (S.ENDED_WITH_FAILURE if times else S.ENDED_SUCCESSFULLY)
    child = CommandEntity.objects.get(parent_command_id=handle.command_id)
    assert child.ended_at <= engine.row(handle).ended_at  # type: ignore[operator]


@register()
class Tripping(Logging):
    """Add a child, and then raise."""

    def execute(self) -> Any:
        self.add_child(Plain, Word())
        raise RuntimeError("no")


def test_children_of_a_call_that_raised_are_told_of(engine: Engine) -> None:
    handle = engine.submit(Tripping)
    engine.run()
    assert engine.row(handle).error == "RuntimeError: no 1 child commands that it had added were not stored."
    assert CommandEntity.objects.count() == 1


def test_siblings_are_numbered_as_they_succeed(engine: Engine) -> None:
    handle = engine.submit(Family, times=3, fail_in="child")
    engine.run()
    children = CommandEntity.objects.filter(parent_command_id=handle.command_id).order_by("position")
    assert list(children.values_list("success_number", flat=True)) == [1, None, 2]


def test_children_that_were_removed_by_hand_fail_their_parent(engine: Engine) -> None:
    handle = engine.submit(Family, times=2)
    engine.turn()
    CommandEntity.objects.filter(parent_command_id=handle.command_id, position=1).delete()
    engine.run()
    assert handle.status == S.ENDED_WITH_FAILURE
    assert engine.row(handle).error.startswith("1 of its child commands were removed")


@register()
class Counting(Series):
    """Have three operations that add no child command."""

    def perform_next_operation(self, completed: int) -> bool:
        self.note(f"operation{completed}")
        return completed < 3


def test_an_operation_without_children_is_not_repeated_for_ever(engine: Engine) -> None:
    handle = engine.submit(Counting)
    engine.run()
    assert handle.status == S.ENDED_SUCCESSFULLY
    assert [line for line in LOG if line.startswith("operation")] == [f"operation{n} hello" for n in range(4)]


def test_to_fail_a_parent_fails_what_lives_beneath_it(engine: Engine) -> None:
    handle = engine.submit(Nested)
    engine.turn()
    engine.turn()
    operators.mark_failed(command_id=handle.command_id, reason="enough", actor=SYSTEM, now=engine.now)
    beneath = CommandEntity.objects.filter(root_command_id=handle.command_id)
    assert {row.status for row in beneath} == {S.FAILED}
    engine.run()
    assert {row.status for row in CommandEntity.objects.all()} == {S.ENDED_WITH_FAILURE}
    assert "was marked failed" in beneath[0].error
    assert (Job.objects.get().status, Step.objects.filter(end_time=None).count()) == ("FAILED", 0)


@register()
class Nested(Ending):
    """Have a child that has a child."""

    def execute(self) -> None:
        self.add_child(Above, Word())


@register()
class Above(Ending):
    """Have a child that is polled."""

    def execute(self) -> None:
        self.add_child(Polled, Word(times=1000))


def test_a_child_of_what_is_over_is_not_resumed(engine: Engine) -> None:
    handle = engine.submit(Family, times=1)
    engine.turn()
    [child] = CommandEntity.objects.filter(parent_command_id=handle.command_id)
    CommandEntity.objects.filter(pk=child.pk).update(status=S.UNKNOWN, due_at=None)
    engine.run()
    assert handle.done()
    with pytest.raises(Conflict, match="is over"):
        operators.resume(command_id=child.pk, reason="again", actor=SYSTEM, now=engine.now)


class Number(BaseModel):
    value: float = 0
    more: list[float] = []


@register(monitored=False)
class Measuring(Command[Number, Number]):
    """Answer a number that JSON has not."""

    def poll(self) -> Answer:
        return Succeeded(Number(value=nan))


def test_what_json_has_no_word_for_is_refused(engine: Engine) -> None:
    with pytest.raises(Invalid, match="JSON") as refusal:
        execute_async(Measuring, Number(more=[1, inf]), now=engine.now)
    assert refusal.value.field == "parameters.more.1"
    handle = engine.submit(Measuring)
    engine.run()
    assert "JSON" in engine.row(handle).error


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"lifetime": 60}, "lifetime must be a timedelta, not 60"),
        ({"time_limit": timedelta(0)}, "time_limit must be longer than"),
        ({"longest_poll": 0}, "longest_poll must be 1 or more"),
        ({"end_attempts": True}, "end_attempts must be a whole number"),
        ({"most_attempts": "5"}, "most_attempts must be a whole number"),
    ],
)
def test_what_register_is_told_is_checked(given: dict[str, Any], problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        register("never", **given)(type("Never", (Plain,), {}))
