"""Finds out which commands have changed, for open pages, by reading them again and again.

Workers write no events for this: a poll would cost more if they did.

A look reads the newest live commands and those that ended last, by indexes that serve lists anyway, and
compares them with what the look before saw.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from coordinator.models import CommandEntity
from coordinator.selectors import is_stalled
from taskmonitor.services.site import is_released

LIVE = 500  # live commands that a look reads, the newest
ENDED = 100  # ended ones, the last
MANY = 100  # changes in one look that are not told one by one
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = ("command_id", "root_command_id", "job_id", "user_id")
_LOOKS = (  # with any change that a page shows at least one of these changes
    "status",
    "fence",
    "due_at",
    "lease_until",
    "poll_delay",
    "attempts",
    "children",
    "executed",
    "callback_notified",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A command as one look read it. `at` is the time it was sorted by: its creation if it is live, its end if not."""

    command_id: UUID
    root_command_id: UUID | None
    job_id: UUID | None
    user_id: int | None
    at: datetime
    looks: list[Any]


@dataclass(frozen=True)
class Window:
    """The newest rows of one query, and whether its limit may have left out older ones (`full`)."""

    rows: dict[UUID, Seen]
    full: bool

    @cached_property
    def oldest(self) -> datetime:
        return min(row.at for row in self.rows.values())

    def lacks(self, row: Seen) -> bool:
        """Whether it would be here if it were as it was."""
        return row.command_id not in self.rows and not (self.full and row.at <= self.oldest)

    @classmethod
    def of(cls, commands: QuerySet[CommandEntity], time: str, limit: int) -> "Window":
        newest = commands.order_by(f"-{time}", *(["-command_id"] if time == "created_at" else []))
        found = newest.values_list(*_FIELDS, time, *_LOOKS)[:limit]
        seen = [Seen(key, root, job, user, at, looks) for key, root, job, user, at, *looks in found]
        return cls({row.command_id: row for row in seen}, len(seen) == limit)


@dataclass(frozen=True, slots=True)
class View:
    """What one look saw."""

    live: Window
    ended: Window
    hindered: tuple[bool, bool]  # no worker looks at commands; the site is not released

    @property
    def partial(self) -> bool:
        """Whether live commands may change without that a look sees it."""
        return self.live.full

    def knows(self, command_id: UUID) -> bool:
        return command_id in self.live.rows or command_id in self.ended.rows


@dataclass(frozen=True, slots=True)
class CommandChange:
    """One command was added, has changed or is gone."""

    command_id: UUID
    root_command_id: UUID | None
    job_id: UUID | None
    user_id: int | None
    added: bool


def version(now: datetime) -> int:
    """A number that grows with time, in microseconds, by which a page drops the older of two answers.

    An answer takes it before the database is read; a change that the stream reports takes it afterwards.
    """
    return (now - _EPOCH) // timedelta(microseconds=1)


def look(now: datetime) -> View:
    """See the commands; four short queries."""
    commands = CommandEntity.objects.all()
    return View(
        Window.of(commands.filter(ended_at__isnull=True), "created_at", LIVE),
        Window.of(commands.filter(ended_at__isnull=False), "ended_at", ENDED),
        (is_stalled(now), not is_released()),
    )


def changes(before: View, after: View) -> Sequence[CommandChange] | None:
    """What differs; None if it may be anything: too much at once, or more ended meanwhile than a look reads."""
    overrun = after.ended.full and after.ended.rows.keys().isdisjoint(before.ended.rows)
    if overrun or before.hindered != after.hindered:
        return None
    found = {row.command_id: row for row in _differing(before, after)}
    if len(found) > MANY:
        return None
    return [
        CommandChange(
            row.command_id, row.root_command_id, row.job_id, row.user_id, not before.knows(row.command_id)
        )
        for row in found.values()
    ]


def _differing(before: View, after: View) -> Iterator[Seen]:
    for then, now in ((before.live, after.live), (before.ended, after.ended)):
        yield from (row for row in then.rows.values() if now.lacks(row))
        yield from (row for row in now.rows.values() if then.rows.get(row.command_id) != row)
