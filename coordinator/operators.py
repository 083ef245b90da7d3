"""What an operator does to a command that does not get on by itself; each with a reason, and audited.

All but `poll_now` raise the fence, so that a worker that holds the command cannot commit over them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q

from coordinator import monitoring, nudge, selectors
from coordinator.commits import committing
from coordinator.engine.queue import at_once, wake
from coordinator.models import OVER, SETTLED, CommandEntity, CommandStatus, Lane
from taskmonitor.errors import Conflict, NotAllowed, NotFound, TransitionError
from taskmonitor.models import Actor, Right
from taskmonitor.services.access import audit
from taskmonitor.services.own_work import OwnWork
from taskmonitor.services.text import required

S = CommandStatus


def poll_now(*, command_id: UUID, reason: str, actor: Actor, now: datetime) -> CommandEntity:
    """Have a live command looked at at once; a worker that is at it now goes on, and looks once more.

    Conflict if it is over.
    """
    row = _asked(command_id, reason, actor)
    with committing("poll-now"):
        if not CommandEntity.objects.filter(pk=row.pk, due_at__isnull=False).update(**at_once(now)):
            raise Conflict(f"This command is {row.status}; there is nothing to look at.")
        _note("polled command", row, reason, actor, now)
    row.due_at = now
    return row


def mark_failed(*, command_id: UUID, reason: str, actor: Actor, now: datetime) -> CommandEntity:
    """Let a live command fail, whatever it is at, and all that lives beneath it; its end method runs next.

    One that is HELD, whose end method cannot be run, is UNKNOWN then: over, and nobody knows what came of it.
    Conflict if it has failed or ended.
    """
    row = _asked(command_id, reason, actor)
    error = f"{actor.name} marked it failed: {reason}"
    with _shown("mark-failed", row, now) as work:
        _fail(row, error, work, now)
        for one in _live_beneath(row):
            if one.status in (S.NOT_STARTED, S.ACTIVE, S.HELD):
                _fail(one, f"What it belongs to was marked failed by {actor.name}: {reason}", work, now)
        _note("failed command", row, reason, actor, now)
    return row


def _fail(row: CommandEntity, error: str, work: OwnWork | None, now: datetime) -> None:
    if row.status != S.HELD:
        _move(row, S.FAILED, now, error=error, event=None, waits_for="", end_attempts=0)
        monitoring.settle(row, work)
        return
    _move(row, S.UNKNOWN, now, error=f"{row.error} {error}", ended_at=now)
    monitoring.lose(row, work)
    if row.parent_command_id is not None:
        wake(row.parent_command_id, now)


def _live_beneath(row: CommandEntity) -> Iterator[CommandEntity]:
    """All descendants of the command that are not over, parents before their children."""
    level = [row.pk] if row.children else []
    while level:
        children = list(CommandEntity.objects.filter(parent_command_id__in=level).order_by("position"))
        yield from (child for child in children if child.status not in OVER)
        level = [child.pk for child in children]


def resume(*, command_id: UUID, reason: str, actor: Actor, now: datetime) -> CommandEntity:
    """Let a command go on that is HELD or UNKNOWN, or that was cut off too often and can go on from its checkpoint.

    Conflict for any other, also for one that was cut off and cannot go on, or whose parent is over.
    """
    row = _asked(command_id, reason, actor)
    cut_off = row.status == S.FAILED_RESTARTED
    if not cut_off and row.status not in (S.HELD, S.UNKNOWN):
        raise Conflict(
            f"This command is {row.status}; it can be resumed if it is HELD or UNKNOWN, or was cut off."
        )
    if _is_over(row.parent_command_id):
        raise Conflict("What this command belongs to is over, so nothing would wait for it.")
    if cut_off and not _is_resumable(row):
        raise Conflict("This command was cut off while it executed, and has no way to go on from there.")
    with _shown("resume", row, now) as work:
        step_id = monitoring.again(row, work) if cut_off else row.step_id
        target = S(row.held_from) if row.status == S.HELD else S.ACTIVE if row.attempts else S.NOT_STARTED
        fields = {"error": "", "held_from": "", "ended_at": None, "step_id": step_id}
        _move(row, target, now, attempts=min(row.attempts, 1), **fields)
        monitoring.find_again(row, work)
        _note("resumed command", row, reason, actor, now)
    return row


def remove_hierarchy(*, command_id: UUID, reason: str, actor: Actor, now: datetime) -> int:
    """Remove all of the hierarchy that the command belongs to; how many commands. Conflict while any of it lives."""
    row = _asked(command_id, reason, actor)
    with _shown("remove", row, now) as work:
        members = CommandEntity.objects.filter(Q(pk=row.top) | Q(root_command_id=row.top))
        found = list(members.select_for_update().only("status", "job_id", "step_id", "owns_job", "error"))
        alive = sum(one.status not in OVER for one in found)
        if alive:
            raise Conflict(f"{alive} commands of this hierarchy are still alive; let them end, or fail.")
        for one in found:
            if one.status == S.UNKNOWN:
                monitoring.settle(one, work)
                monitoring.end(one, work)
        _note("removed hierarchy", row, reason, actor, now)
        members.delete()
    return len(found)


def _asked(command_id: UUID, reason: str, actor: Actor) -> CommandEntity:
    """The command, if the actor may do something to it and says why."""
    if not actor.may(Right.CONTROL):
        raise NotAllowed(Right.CONTROL)
    row = selectors.command(command_id, actor)
    required("reason", reason, longest=1000)
    return row


@contextmanager
def _shown(name: str, row: CommandEntity, now: datetime) -> Iterator[OwnWork | None]:
    """One commit, with the job that shows the command locked first."""
    with committing(name, job_id=row.job_id if row.step_id else None, now=now) as work:
        yield work


def _move(row: CommandEntity, target: CommandStatus, now: datetime, **fields: Any) -> None:
    """Move it to `target`, due at once and held by nobody; TransitionError if that does not fit its status."""
    sources = [source for source, targets in CommandEntity.TRANSITIONS.items() if target in targets]
    due = None if target in OVER else now
    fields |= {"status": target, "due_at": due, "poll_delay": 0, "lease_until": None, "worker": ""}
    fields |= {"woken": False, "deaths": 0, "death": "", "lane": _lane(row, target)}
    asked = CommandEntity.objects.filter(pk=row.pk, status=row.status, status__in=sources)
    if not asked.update(fence=F("fence") + 1, **fields):
        present = CommandEntity.objects.filter(pk=row.pk).values_list("status", "ended_at").first()
        if present is None:
            raise NotFound("Command", row.pk)
        raise TransitionError("command", str(present[0]), target, present[1])
    row.refresh_from_db(fields=["fence", *fields])


def _note(verb: str, row: CommandEntity, reason: str, actor: Actor, now: datetime) -> None:
    audit(verb=verb, subject=str(row), detail=reason, actor=actor, now=now)
    nudge.send(*Lane)


def _is_over(command_id: UUID | None) -> bool:
    return command_id is not None and CommandEntity.objects.filter(pk=command_id, status__in=OVER).exists()


def _lane(row: CommandEntity, target: CommandStatus) -> Lane:
    return Lane.POLL if row.executed or target in SETTLED else Lane.EXECUTE


def _is_resumable(row: CommandEntity) -> bool:
    from coordinator import registry  # which loads all commands; a web server needs them only for this

    try:
        return registry.get(row.command_type).resumable
    except NotFound:
        return False
