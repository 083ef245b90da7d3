"""What operators do to commands: guarded, kept from the workers, audited."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from coordinator.command import Context
from coordinator.engine.queue import claim
from coordinator.engine.sandbox import Sandbox
from coordinator.engine.worker import work
from coordinator.executor import Handle
from coordinator.models import CommandEntity, CommandStatus
from coordinator.operators import mark_failed, poll_now, remove_hierarchy, resume
from taskmonitor.errors import Conflict, Invalid, NotAllowed, NotFound, TransitionError
from taskmonitor.models import SYSTEM, Actor, AuditEntry, Job, Right
from tests.coordinator.commands import LOG, Ending, Family, Plain, Polled, Quiet, Resumable, Waiting
from tests.coordinator.conftest import Engine
from tests.factories import make_actor, make_job, make_user

S = CommandStatus
OPERATIONS: list[Callable[..., Any]] = [poll_now, mark_failed, resume, remove_hierarchy]
EVERYWHERE = (Right.CONTROL, Right.VIEW_ALL)


@pytest.fixture
def ops(engine: Engine) -> dict[str, Any]:
    """Who does it, when and why."""
    return {
        "actor": make_actor(make_user("ops"), *EVERYWHERE),
        "now": engine.now,
        "reason": "it hangs",
    }


def put(handle: Handle, status: CommandStatus, **fields: Any) -> None:
    """Put the command into that state, as if workers had brought it there."""
    CommandEntity.objects.filter(pk=handle.command_id).update(status=status, **fields)


def drawn() -> set[tuple[str, str]]:
    lines = re.findall(r"^ *([A-Z_]+) -> ([A-Z_ |]+)$", CommandEntity.__doc__ or "", re.MULTILINE)
    return {(source, target) for source, targets in lines for target in targets.split(" | ")}


@pytest.mark.mission("S126", "D18")
def test_the_drawing_is_the_automaton() -> None:
    stated = {(str(s), str(t)) for s, targets in CommandEntity.TRANSITIONS.items() for t in targets}
    assert drawn() == stated
    over = set(S.values) - {source for source, _ in stated}
    assert over == {"ENDED_SUCCESSFULLY", "ENDED_WITH_FAILURE"}


def test_poll_now_does_not_wait_for_the_next_poll(engine: Engine, ops: dict[str, Any]) -> None:
    handle = engine.submit(Polled, times=9)
    engine.turn()
    engine.turn(1)
    assert engine.turn() == 0
    poll_now(command_id=handle.command_id, **ops | {"now": engine.now})
    assert engine.turn() == 1
    assert LOG.count("poll hello") == 2


def test_poll_now_lets_a_worker_go_on_and_have_a_second_look(engine: Engine, ops: dict[str, Any]) -> None:
    handle = engine.submit(Polled, times=9)
    engine.turn()
    engine.now = engine.row(handle).due_at or engine.now
    claims = claim(engine.now, worker="test", limit=1)
    poll_now(command_id=handle.command_id, **ops | {"now": engine.now})
    work(claims, lambda: engine.now, Sandbox())
    assert LOG.count("poll hello") == 1
    assert engine.turn() == 1
    assert LOG.count("poll hello") == 2


@pytest.mark.parametrize("source", S.values)
def test_what_may_be_marked_failed(engine: Engine, ops: dict[str, Any], source: str) -> None:
    handle = engine.submit(Ending)
    put(handle, S(source))
    if (source, "FAILED") not in drawn():
        with pytest.raises(TransitionError):
            mark_failed(command_id=handle.command_id, **ops)
        assert handle.status == source
        assert not AuditEntry.objects.exists()
        return
    row = mark_failed(command_id=handle.command_id, **ops)
    if source == "HELD":
        assert (row.status, row.due_at, Job.objects.get().status) == ("UNKNOWN", None, "UNKNOWN")
        return
    assert (row.status, row.error, row.due_at) == ("FAILED", "ops marked it failed: it hangs", engine.now)
    engine.turn()
    assert handle.status == S.ENDED_WITH_FAILURE
    assert LOG == ["end_with_failure hello"]
    job = Job.objects.get()
    assert (job.status, job.steps_open, job.reason) == ("FAILED", 0, "ops marked it failed: it hangs")
    assert job.steps.filter(type="FINALIZING").count() == 1


def test_a_worker_cannot_commit_over_an_operator(engine: Engine, ops: dict[str, Any]) -> None:
    handle = engine.submit(Ending)
    claims = claim(engine.now, worker="test", limit=1)
    mark_failed(command_id=handle.command_id, **ops)
    work(claims, lambda: engine.now, Sandbox())
    assert (handle.status, LOG) == (S.FAILED, [])
    claims = claim(engine.now, worker="test", limit=1)
    put(handle, S.UNKNOWN)
    resume(command_id=handle.command_id, **ops)
    work(claims, lambda: engine.now, Sandbox())
    assert (handle.status, LOG) == (S.NOT_STARTED, [])


@pytest.mark.parametrize(("attempts", "status"), [(0, S.NOT_STARTED), (3, S.ACTIVE)])
def test_what_is_unknown_is_resumed_where_it_was(
    engine: Engine, ops: dict[str, Any], attempts: int, status: CommandStatus
) -> None:
    handle = engine.submit(Resumable)
    put(handle, S.UNKNOWN, attempts=attempts, due_at=None, error="no such command", checkpoint=2)
    row = resume(command_id=handle.command_id, **ops)
    assert (row.status, row.error) == (status, "")
    engine.run()
    assert handle.status == S.ENDED_SUCCESSFULLY
    assert LOG == ["part2 hello"]
    assert Job.objects.get().status == "FINISHED"


def test_what_was_cut_off_too_often_is_resumed_from_its_checkpoint(
    engine: Engine, ops: dict[str, Any]
) -> None:
    handle = engine.submit(Resumable)
    put(handle, S.ACTIVE, attempts=5, checkpoint=2)
    engine.turn()
    assert handle.status == S.ENDED_WITH_FAILURE
    handle = engine.submit(Resumable, word="late")
    LOG.clear()
    put(handle, S.ACTIVE, attempts=5, checkpoint=2, children=0)
    put(handle, S.FAILED_RESTARTED, error="A restart cut it off.")
    row = resume(command_id=handle.command_id, **ops)
    assert (row.status, row.attempts) == (S.ACTIVE, 1)
    engine.run()
    assert (handle.status, LOG) == (S.ENDED_SUCCESSFULLY, ["part2 late"])
    job = Job.objects.get(pk=row.job_id)
    assert (job.status, job.steps_open) == ("FINISHED", 0)
    assert job.steps.filter(type="EXECUTING").count() == 2


@pytest.mark.parametrize(
    "status", [S.NOT_STARTED, S.ACTIVE, S.FAILED, S.FAILED_RESTARTED, S.ENDED_WITH_FAILURE]
)
def test_what_cannot_be_resumed_stays_as_it_is(
    engine: Engine, ops: dict[str, Any], status: CommandStatus
) -> None:
    handle = engine.submit(Ending)
    put(handle, status)
    with pytest.raises(Conflict):
        resume(command_id=handle.command_id, **ops)
    assert handle.status == status


def test_a_hierarchy_is_removed_whole_if_all_of_it_is_over(engine: Engine, ops: dict[str, Any]) -> None:
    other = engine.submit(Plain)
    handle = engine.submit(Family, times=2)
    engine.turn()
    child = CommandEntity.objects.exclude(parent_command_id=None).earliest("position")
    for command_id in (handle.command_id, child.pk):
        with pytest.raises(Conflict, match="3 commands of this hierarchy are still alive"):
            remove_hierarchy(command_id=command_id, **ops)
    engine.run()
    assert remove_hierarchy(command_id=child.pk, **ops) == 3
    assert CommandEntity.objects.get().pk == other.command_id
    with pytest.raises(NotFound):
        remove_hierarchy(command_id=handle.command_id, **ops)


def test_the_job_of_one_that_is_unknown_ends_with_its_removal(engine: Engine, ops: dict[str, Any]) -> None:
    own = engine.submit(Plain)
    external = make_job(SYSTEM)
    attached = engine.submit(Plain, Context(job_id=external.pk))
    for handle in (own, attached):
        job = Job.objects.get(pk=engine.row(handle).job_id)
        put(handle, S.UNKNOWN, due_at=None, error="There is no command named Plain.")
        remove_hierarchy(command_id=handle.command_id, **ops)
        job.refresh_from_db()
        expected = ("FAILED", 0) if handle is own else ("STARTED", 0)
        assert (job.status, job.steps_open) == expected
    assert external.steps.get().status == "FAILED"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_needs_a_right_a_command_and_a_reason(
    engine: Engine, ops: dict[str, Any], operation: Callable[..., Any]
) -> None:
    handle = engine.submit(Waiting)
    before = engine.row(handle)
    with pytest.raises(NotAllowed):
        operation(command_id=handle.command_id, **ops | {"actor": make_actor(None, Right.VIEW_ALL)})
    with pytest.raises(NotFound):
        operation(command_id=uuid4(), **ops)
    with pytest.raises(NotFound):
        operation(command_id=handle.command_id, **ops | {"actor": make_actor(None, Right.CONTROL)})
    for reason in ("", "  ", "\0", "x" * 1001):
        with pytest.raises(Invalid, match="reason"):
            operation(command_id=handle.command_id, **ops | {"reason": reason})
    row = engine.row(handle)
    assert (row.status, row.fence, row.due_at) == (before.status, before.fence, before.due_at)
    assert not AuditEntry.objects.exists()


def test_each_is_audited(engine: Engine, ops: dict[str, Any]) -> None:
    actor: Actor = ops["actor"]

    def last(command_id: UUID) -> tuple[Any, ...]:
        entry = AuditEntry.objects.latest("pk")
        assert (entry.actor_id, entry.actor_name, entry.time) == (actor.user_id, "ops", engine.now)
        assert entry.subject.endswith(str(command_id))
        return entry.verb, entry.detail

    handle = engine.submit(Quiet)
    poll_now(command_id=handle.command_id, **ops)
    assert last(handle.command_id) == ("polled command", "it hangs")
    put(handle, S.UNKNOWN)
    resume(command_id=handle.command_id, **ops)
    assert last(handle.command_id) == ("resumed command", "it hangs")
    mark_failed(command_id=handle.command_id, **ops)
    assert last(handle.command_id) == ("failed command", "it hangs")
    engine.turn()
    remove_hierarchy(command_id=handle.command_id, **ops)
    assert last(handle.command_id) == ("removed hierarchy", "it hangs")
