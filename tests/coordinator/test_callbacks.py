"""Who is told how a command gets on, when, and how often (MISSION.md S111 to S127)."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils.timezone import now as wall_clock
from django_q.models import OrmQ

from coordinator import repository
from coordinator.callbacks import Callback, ChildrenCallback
from coordinator.command import RUNNING, Answer, Command, Failed, Succeeded
from coordinator.engine.queue import claim
from coordinator.executor import execute_async
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import get, register
from tests.coordinator.commands import LOG, Family, Length, Logging, Plain, Polled, Word
from tests.coordinator.conftest import Engine

TOLD: list[tuple[Any, ...]] = []


class Telling(Callback):
    """Note what it is told, and settle the command at the third poll."""

    def executed(self, command: Command[Any, Any], result: Any) -> None:
        TOLD.append(("executed", command.executed, result))

    def do_polling(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> Answer | None:
        TOLD.append(("do_polling", command.status, list(child_ids)))
        if len(TOLD) < 4:
            return RUNNING
        return Failed("as asked") if command.parameters.word == "ill" else Succeeded()

    def on_succeeded(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> None:
        TOLD.append(("on_succeeded", command.status, list(child_ids)))

    def on_failed(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> None:
        TOLD.append(("on_failed", command.status, list(child_ids)))


@register(callback=Telling)
class Told(Logging):
    """Have a callback of its own, and a child."""

    def execute(self) -> Any:
        self.note("execute")
        self.add_child(Plain, Word())
        return Length(letters=1)


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    TOLD.clear()


def told() -> list[str]:
    return [name for name, *_ in TOLD]


@pytest.mark.mission("S113", "S114", "S115", "S116", "S117")
@pytest.mark.parametrize(("word", "end"), [("good", "on_succeeded"), ("ill", "on_failed")])
def test_a_callback_of_its_own_is_told_everything_once_and_settles_it(
    engine: Engine, word: str, end: str
) -> None:
    handle = engine.submit(Told, word=word)
    engine.run()
    children = repository.get_child_command_ids(handle.command_id)
    assert len(children) == 1
    settled = CommandStatus.SUCCEEDED if word == "good" else CommandStatus.FAILED
    assert [
        ("executed", True, Length(letters=1)),
        *[("do_polling", CommandStatus.ACTIVE, children)] * 3,
        (end, settled, children),
    ] == TOLD
    row = engine.row(handle)
    assert (row.callback_notified, row.polls) == (True, 3)
    engine.turn(3600)
    assert len(TOLD) == 5


@pytest.mark.mission("S114", "S124", "S125")
def test_executed_is_not_told_if_execute_raised(engine: Engine) -> None:
    handle = engine.submit(Told, fail_in="execute")
    engine.run()
    assert told() == ["on_failed"]
    assert repository.get_command_execution_status(handle.command_id) == "NOT_EXECUTED"


@pytest.mark.mission("S117", "S123")
@pytest.mark.parametrize(
    "failpoint", ["before-execute", "after-execute", "before-settle", "after-settle", "after-end:2"]
)
def test_whoever_goes_on_for_a_dead_worker_tells_what_was_not_told(engine: Engine, failpoint: str) -> None:
    handle = engine.submit(Told)
    engine.run(kill_at=failpoint)
    engine.run()
    assert told().count("executed") == 1
    assert len([one for one in told() if one in ("on_succeeded", "on_failed")]) == 1
    assert engine.row(handle).callback_notified
    cut_off = failpoint == "before-execute"
    assert handle.status == ("ENDED_WITH_FAILURE" if cut_off else "ENDED_SUCCESSFULLY")


@pytest.mark.mission("S113")
def test_without_one_it_has_the_base_callback_whose_methods_do_nothing(engine: Engine) -> None:
    assert get("Plain").handler is Callback
    handle = engine.submit(Plain)
    command = repository.retrieve_command(handle.command_id)
    assert command
    base = Callback()
    assert [
        base.executed(command, None),  # type: ignore[func-returns-value]
        base.do_polling(command, []),
        base.on_succeeded(command, []),  # type: ignore[func-returns-value]
        base.on_failed(command, []),  # type: ignore[func-returns-value]
    ] == [None] * 4
    assert LOG == []


@pytest.mark.mission("S115", "S118")
def test_polls_come_at_intervals_while_it_is_active_and_never_after(engine: Engine) -> None:
    handle = engine.submit(Polled, times=3)
    for _ in range(40):
        engine.turn(0.5)
    assert LOG.count("poll hello") == 3
    assert LOG[-1] == "end_successfully hello"
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY


@register()
class Threaded(Logging):
    """Note in which thread it runs."""

    def execute(self) -> Any:
        LOG.append(threading.current_thread().name)
        return Length(letters=7)


@pytest.mark.mission("S111", "S112")
@pytest.mark.django_db(transaction=True)
def test_the_caller_has_the_future_before_the_command_has_begun() -> None:
    LOG.clear()
    engine = Engine(now=wall_clock())
    handle = execute_async("Threaded", Word(), now=engine.now)
    assert (handle.status, handle.done(), LOG) == (CommandStatus.NOT_STARTED, False, [])
    worker = threading.Thread(target=_one_turn, args=(engine,), name="another")
    worker.start()
    assert handle.result(timeout=20) == Length(letters=7)
    worker.join()
    assert LOG == ["another"]


def _one_turn(engine: Engine) -> None:
    engine.turn()
    connection.close()


@pytest.mark.mission("S118", "S119", "S120")
@pytest.mark.parametrize(
    ("fail_in", "end"), [("", "end_successfully hello"), ("child", "end_with_failure hello")]
)
def test_a_parents_end_method_runs_last_and_its_hierarchy_is_cleaned_up_whole(
    engine: Engine, fail_in: str, end: str
) -> None:
    handle = engine.submit(Family, times=3, fail_in=fail_in)
    assert get("Family").handler is ChildrenCallback
    engine.run()
    assert LOG[-1] == end
    assert LOG.count(end) == 1
    assert not CommandEntity.objects.filter(due_at__isnull=False).exists()
    ended = engine.now + timedelta(seconds=1)
    assert repository.remove_all_commands_before_date(ended) == [handle.command_id]
    assert not CommandEntity.objects.exists()


@pytest.mark.mission("S91", "D19")
@pytest.mark.django_db
def test_django_q_is_handed_nothing_of_a_command_whose_worker_claims_it_by_its_id() -> None:
    handle = execute_async("Plain", Word(word="parameter"), now=wall_clock())
    assert not OrmQ.objects.exists()
    assert claim(wall_clock(), worker="a", limit=9) == [(handle.command_id, 1)]


@pytest.mark.mission("D19")
def test_only_names_of_the_registry_are_stored(engine: Engine) -> None:
    handle = engine.submit(Plain)
    engine.run()
    row = engine.row(handle)
    assert (row.command_type, row.command_params_class, row.return_value_class) == ("Plain", "Word", "Length")


@register()
class Grandparent(Logging):
    """Have two children that have children."""

    def execute(self) -> Any:
        self.add_child(Family, Word(times=2))
        self.add_child(Family, Word(times=1))


@pytest.mark.mission("D20", "S81")
def test_root_parent_and_order_among_siblings_are_stored(engine: Engine) -> None:
    handle = engine.submit(Grandparent)
    engine.run()
    top = handle.command_id
    first, second = repository.get_child_command_ids(top)
    rows = CommandEntity.objects.exclude(pk=top).order_by("created_at", "position")
    found = {(row.root_command_id, row.parent_command_id, row.position) for row in rows}
    assert found == {(top, top, 0), (top, top, 1), (top, first, 0), (top, first, 1), (top, second, 0)}
    root = engine.row(handle)
    assert (root.root_command_id, root.parent_command_id) == (None, None)
