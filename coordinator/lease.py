"""A worker's hold on one command: what it writes counts only while the command is still its own."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection

from coordinator.models import CommandEntity, lease_from
from taskmonitor.statements import bound, executed

_TABLE = CommandEntity._meta.db_table


Claim = tuple[UUID, int]  # a command's id, and the fencing number that its claim got


class Superseded(Exception):
    """The command was claimed by somebody else, or changed by an admin; nothing was written."""


class Lease:
    """The hold on `row`, as it was claimed."""

    def __init__(self, row: CommandEntity) -> None:
        self.row = row

    def write(self, **fields: Any) -> None:
        """Write to the row and go on holding it, or raise Superseded."""
        self._update(fields, [f"{_column(name)} = %s" for name in fields])

    def renew(self, now: datetime) -> None:
        """Hold it longer, or raise Superseded. That it was woken meanwhile is not forgotten."""
        until = lease_from(now)
        self._update(
            {"lease_until": until, "due_at": until},
            ['"lease_until" = %s', _DUE_UNLESS_WOKEN],
        )

    def release(self, due_at: datetime | None, **fields: Any) -> None:
        """Write to the row and let go of it until `due_at`, or until it was woken; None: for good."""
        sets = [f"{_column(name)} = %s" for name in fields]
        sets.append('"due_at" = %s' if due_at is None else _DUE_UNLESS_WOKEN)
        self._update({**fields, "due_at": due_at}, [*sets, '"lease_until" = NULL', "\"worker\" = ''"])
        self.row.lease_until = None

    def _update(self, fields: dict[str, Any], sets: list[str]) -> None:
        row, (guard, sources) = self.row, _guard(fields.get("status"))
        sql = f'UPDATE "{_TABLE}" SET {", ".join(sets)} WHERE {guard}'  # noqa: S608 - names of ours
        values = bound(CommandEntity, {**fields, "command_id": row.command_id, "fence": row.fence})
        with executed(sql, [*values, *sources]) as cursor:
            if not cursor.rowcount:
                raise Superseded
        for name, value in fields.items():
            setattr(row, name, value)


@cache
def _guard(target: str | None) -> tuple[str, list[str]]:
    """What must still be true of a row: it is ours, and its status may become `target`."""
    held = '"command_id" = %s AND "fence" = %s AND "lease_until" IS NOT NULL'
    if target is None:
        return held, []
    sources = [str(source) for source, targets in CommandEntity.TRANSITIONS.items() if target in targets]
    return f'{held} AND "status" IN ({", ".join(["%s"] * len(sources))})', sources


def wake(command_id: UUID, now: datetime) -> None:
    """Have a live command looked at now, also if somebody is looking at it."""
    live = '"command_id" = %s AND "due_at" IS NOT NULL'
    sql = f'UPDATE "{_TABLE}" SET "due_at" = %s, "poll_delay" = 0 WHERE {live}'  # noqa: S608 - names of ours
    with executed(sql, bound(CommandEntity, {"due_at": now, "command_id": command_id})):
        pass


def release_polled(leases: Sequence[Lease], *, due_at: datetime, poll_delay: int) -> None:
    """Let go, in one UPDATE, of those of the rows that are still ours, each with one more poll."""
    values = bound(CommandEntity, {"due_at": due_at, "poll_delay": poll_delay})
    for lease in leases:
        values += bound(CommandEntity, {"command_id": lease.row.command_id, "fence": lease.row.fence})
        lease.row.lease_until = None
    held = ", ".join(["(%s, %s)"] * len(leases))
    if connection.vendor == "postgresql":
        held = held.replace("(%s, %s)", "(%s::uuid, %s)", 1)
    sql = f"""
        UPDATE "{_TABLE}" SET {_DUE_UNLESS_WOKEN}, "poll_delay" = %s, "polls" = "polls" + 1,
            "lease_until" = NULL, "worker" = ''
        WHERE "lease_until" IS NOT NULL AND ("command_id", "fence") IN (VALUES {held})
    """  # noqa: S608 - names of ours
    with executed(sql, values):
        pass


# Woken is what is due at another time than the lease ends; also at a later one, if the clock was set forward meanwhile.
_DUE_UNLESS_WOKEN = '"due_at" = CASE WHEN "due_at" <> "lease_until" THEN "due_at" ELSE %s END'


@cache
def _column(name: str) -> str:
    field: Any = CommandEntity._meta.get_field(name)
    return f'"{field.column}"'
