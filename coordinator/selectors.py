"""Which commands somebody sees, and the pages of a list."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from coordinator.models import ENDED, CommandEntity, CommandStatus
from taskmonitor.errors import NotFound
from taskmonitor.models import Actor, Right
from taskmonitor.selectors.expressions import Computed, like
from taskmonitor.selectors.jobs import FARTHEST, Cursor
from taskmonitor.services.text import checked

PERIODS = timedelta(seconds=30)  # three of the longest time between two polls (oVirt: 10 s)
LARGE = (
    "command_parameters",
    "return_value",
    "trace",
    "checkpoint",
    "event",
)  # columns that lists need not read


def listed(actor: Actor, *, rare: bool = False) -> QuerySet[CommandEntity]:
    """The commands that are the actor's to see: those submitted in their name, or all.

    Of `rare` ones there is an index; SQLite would rather walk down all that the user has.
    """
    commands = CommandEntity.objects.select_related("user").defer(*LARGE)
    if actor.may(Right.VIEW_ALL):
        return commands
    if rare:
        return commands.alias(owner=Computed("user_id")).filter(owner=actor.user_id)
    return commands.filter(user=actor.user_id)


def sees(actor: Actor, user_id: int | None) -> bool:
    """Whether a command in that user's name is the actor's to see; the same rule."""
    return actor.may(Right.VIEW_ALL) or user_id == actor.user_id


def having(actor: Actor, **fields: Any) -> list[QuerySet[CommandEntity]]:
    """Those of them that have all these fields, in parts of which each is found by an index.

    There is one by type of what has ended, and one of what has not.
    """
    status = fields.get("status")
    rare = status not in (None, CommandStatus.ENDED_SUCCESSFULLY)
    found = listed(actor, rare=rare).filter(**fields)
    living = listed(actor, rare=True).filter(ended_at__isnull=True, **fields)
    if "job_id" in fields or "parent_command_id" in fields:
        return [found]
    if rare and status not in ENDED:
        return [living]
    return [living, found.filter(ended_at__isnull=False)] if "command_type" in fields else [found]


def command(command_id: UUID, actor: Actor) -> CommandEntity:
    """The command, whole; NotFound also for one that the actor may not see."""
    found = listed(actor).defer(None).filter(pk=command_id).first()
    if found is None:
        raise NotFound("Command", command_id)
    return found


def page(
    *parts: QuerySet[CommandEntity], limit: int, after: Cursor | None = None, few: bool = False
) -> tuple[list[CommandEntity], Cursor | None]:
    """At most `limit` commands of the parts behind `after`, newest first, and where the next page begins, if any.

    Of `few` all are found before they are sorted; SQLite would rather walk down all commands.
    """
    found: list[CommandEntity] = []
    for commands in parts:
        if after is not None:
            same = Q(created_at=after.start_time, command_id__lt=after.job_id)
            commands = commands.filter(
                Q(created_at__lt=after.start_time) | same, created_at__lte=after.start_time
            )
        order = ["-created_at", "-command_id"]
        if few and connection.vendor == "sqlite":
            commands = commands.alias(time=Computed("created_at"), key=Computed("command_id"))
            order = ["-time", "-key"]
        found += commands.order_by(*order)[: limit + 1]
    found.sort(key=lambda one: (one.created_at, one.pk), reverse=True)
    more = len(found) > limit > 0
    return found[:limit], Cursor(found[limit - 1].created_at, found[limit - 1].pk) if more else None


def containing(commands: QuerySet[CommandEntity], text: str) -> QuerySet[CommandEntity]:
    """Those of the newest commands whose type or error has the text; or the one whose id it is."""
    with suppress(ValueError):
        return commands.filter(pk=UUID(text))
    pattern = f"*{checked('text', text)}*"
    found = commands.filter(like("command_type", pattern) | like("error", pattern))
    times = commands.order_by("-created_at", "-command_id").values_list("created_at", flat=True)
    farthest = times[FARTHEST : FARTHEST + 1].first()
    return found.filter(created_at__gt=farthest) if farthest else found


def children(row: CommandEntity, *, limit: int) -> list[CommandEntity]:
    """The first of its child commands, in their order."""
    if not row.children:
        return []
    found = CommandEntity.objects.filter(parent_command_id=row.pk).defer(*LARGE)
    return list(found.order_by("position")[:limit])


@dataclass(frozen=True, slots=True)
class Member:
    """One command of a hierarchy, and how many stand above it."""

    command: CommandEntity
    depth: int


def hierarchy(row: CommandEntity, *, limit: int) -> list[Member]:
    """The first commands of the hierarchy that it belongs to, each behind its parent, itself always among them."""
    members = CommandEntity.objects.filter(Q(pk=row.top) | Q(root_command_id=row.top)).defer(*LARGE)
    found = {one.pk: one for one in [row, *members.order_by("created_at", "position")[:limit]]}
    beneath: dict[UUID | None, list[CommandEntity]] = {}
    for one in found.values():
        parent = one.parent_command_id if one.parent_command_id in found else None
        beneath.setdefault(parent, []).append(one)
    return list(_in_reading_order(beneath))


def of_job(job_id: UUID, actor: Actor, *, limit: int) -> list[CommandEntity]:
    """The first commands that a job was made for, or that were attached to it; not their child commands."""
    found = listed(actor).filter(job_id=job_id, parent_command_id=None)
    return list(found.order_by("created_at", "command_id")[:limit])


def is_stalled(now: datetime) -> bool:
    """Whether a command has been due for so long that it seems that no worker looks at them."""
    free = Q(lease_until=None) | Q(lease_until__lte=now - PERIODS)
    return CommandEntity.objects.filter(free, due_at__lt=now - PERIODS).exists()


def _in_reading_order(beneath: dict[UUID | None, list[CommandEntity]]) -> Iterator[Member]:
    waiting = [Member(one, 0) for one in reversed(beneath.get(None, []))]
    while waiting:
        member = waiting.pop()
        yield member
        under = sorted(beneath.get(member.command.pk, []), key=lambda one: one.position, reverse=True)
        waiting += [Member(one, member.depth + 1) for one in under]
