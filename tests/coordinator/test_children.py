"""Parents and their child commands."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from coordinator import commits, operators
from coordinator.command import Command
from coordinator.engine import commit, worker
from coordinator.engine.queue import Lease
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import register
from taskmonitor.models import SYSTEM, Job
from tests.coordinator.commands import LOG, Ending, Family, Logging, Plain, Polled, Quiet, Word
from tests.coordinator.conftest import Engine
from tests.coordinator.test_execution import steps


@register()
class Generations(Command[Word, Word]):
    """Have one child, and after it another."""

    def execute(self) -> Any:
        self.add_child(Plain, Word(word="first"))

    def perform_next_operation(self, completed: int) -> bool:
        if completed < 3:
            self.add_child(Plain, Word(word=f"child{completed}"))
        return completed < 3


def test_children_whose_commit_failed_once_keep_their_places(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "AFTER_TROUBLE", 0)
    monkeypatch.setattr(commit.connection, "close", lambda: None)  # it is the test's own
    release, failures = Lease.release, [OperationalError("gone")]

    def fail_once(lease: Lease, *arguments: Any, **fields: Any) -> None:
        release(lease, *arguments, **fields)
        if failures and fields.get("children"):
            raise failures.pop()

    monkeypatch.setattr(Lease, "release", fail_once)
    handle = engine.submit(Generations)
    engine.run()
    assert not failures
    children = CommandEntity.objects.filter(parent_command_id=handle.command_id)
    assert list(children.order_by("position").values_list("position", flat=True)) == [0, 1, 2]
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY


@register()
class Discreet(Ending):
    """Have children that nobody is shown, the second of which has one that is."""

    def execute(self) -> Any:
        self.add_child(Quiet, Word(fail_in="execute"))
        self.add_child(Hidden, Word())


@register(monitored=False)
class Hidden(Logging):
    """Have a child that is shown."""

    def execute(self) -> Any:
        self.add_child(Plain, Word(word="grandchild"))


def test_a_child_that_is_not_shown_ends_nothing_of_its_parents(engine: Engine) -> None:
    engine.submit(Discreet)
    engine.turn()
    engine.turn()
    job = Job.objects.get()
    assert ("EXECUTING", "STARTED", 0) in steps(job)
    engine.run()
    assert job.steps.get(description="Say a word.").status == "FINISHED"
    job.refresh_from_db()
    assert (job.status, job.steps_open) == ("FAILED", 0)


@register(monitored=False)
class TwiceHidden(Logging):
    """Have a child that is not shown either, and has one that is."""

    def execute(self) -> Any:
        self.add_child(Hidden, Word())


@register()
class Open(Logging):
    """Have a child that is shown, two below."""

    def execute(self) -> Any:
        self.add_child(TwiceHidden, Word())


def test_a_child_is_shown_beneath_the_nearest_command_above_it_that_is(engine: Engine) -> None:
    engine.submit(Open)
    engine.run()
    job = Job.objects.get()
    above = job.steps.get(description="Have a child that is shown, two below.")
    assert job.steps.get(description="Say a word.").parent_step == above


def test_beneath_a_root_that_is_not_shown_nothing_is(engine: Engine) -> None:
    handle = engine.submit(TwiceHidden)
    engine.run()
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY
    assert CommandEntity.objects.get(command_type="Plain").status == CommandStatus.ENDED_SUCCESSFULLY
    assert not Job.objects.exists()


def test_a_poison_row_hurts_nobody_else(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of children that cannot be stored must not stop the batch that the parent is in."""
    parent, after = engine.submit(Family, times=2), engine.submit(Plain, word="after")
    CommandEntity.objects.bulk_create(
        [
            CommandEntity(
                command_type="Plain",
                parent_command_id=parent.command_id,
                position=1,
                created_at=engine.now,
                status=CommandStatus.ENDED_SUCCESSFULLY,
            )
        ]
    )
    engine.turn()
    assert after.status == CommandStatus.ENDED_SUCCESSFULLY
    assert parent.status == CommandStatus.HELD
    assert "IntegrityError" in engine.row(parent).error


def test_while_children_live_a_poll_of_their_parent_rebuilds_none(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt = []
    children_of = worker.children_of
    monkeypatch.setattr(worker, "children_of", lambda key: rebuilt.append(key) or children_of(key))
    handle = engine.submit(Family, times=3)
    engine.turn()
    CommandEntity.objects.exclude(pk=handle.command_id).update(due_at=engine.now + timedelta(seconds=30))
    for _ in range(4):
        engine.turn(10)
    assert engine.row(handle).polls >= 3
    engine.run()
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY
    assert rebuilt == []


@register(lifetime=timedelta(minutes=1))
class Impatient(Ending):
    """Have a child that takes longer than it may itself, and that has one, too."""

    def execute(self) -> Any:
        self.add_child(Parental, Word(word="child"))


@register()
class Parental(Ending):
    """Have a child that is polled for long."""

    def execute(self) -> Any:
        self.add_child(Polled, Word(word="grandchild", times=20))


@pytest.mark.mission("S118")
def test_one_that_was_active_for_too_long_ends_after_all_beneath_it(engine: Engine) -> None:
    handle = engine.submit(Impatient)
    engine.turn()
    engine.turn()
    engine.turn(61)
    assert handle.status == CommandStatus.FAILED
    assert "longer than 0:01:00" in engine.row(handle).error
    assert "end_with_failure hello" not in LOG
    engine.run()
    assert LOG[-3:] == ["end_successfully grandchild", "end_successfully child", "end_with_failure hello"]


@pytest.mark.mission("S119")
@pytest.mark.parametrize("status", ["FAILED_RESTARTED", "HELD"])
def test_a_child_that_was_cut_off_or_given_up_fails_its_parent(engine: Engine, status: str) -> None:
    handle = engine.submit(Family, times=2)
    engine.turn()
    child = CommandEntity.objects.filter(parent_command_id=handle.command_id, position=1)
    if status == "HELD":
        child.update(command_type="gone")
        for _ in range(5):
            engine.turn(10)
        assert handle.status == CommandStatus.ACTIVE  # it waits for what is not over
        operators.mark_failed(command_id=child.get().pk, reason="gone for good", actor=SYSTEM, now=engine.now)
        assert child.get().status == CommandStatus.UNKNOWN
    else:
        child.update(status=CommandStatus.ACTIVE, attempts=1)
    engine.run()
    assert handle.status == CommandStatus.ENDED_WITH_FAILURE
    assert engine.row(handle).error.startswith("1 of its child commands failed")
    assert LOG[-1] == "end_with_failure hello"


@register()
class Bare(Logging):
    """Have two children, and nothing to do after them."""

    def execute(self) -> None:
        for _ in range(2):
            self.add_child(Plain, Word())


def test_a_parent_without_end_method_has_ended_once_its_children_have(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []
    monkeypatch.setattr(commits, "reach", passed.append)
    handle = engine.submit(Bare)
    engine.run()
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY
    assert (passed.count("after-end"), passed.count("after-settle")) == (3, 0)
