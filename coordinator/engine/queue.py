"""The command table as the queue: the few statements by which workers take rows, hold them and let go of them.

Each is one UPDATE, so that of several who want a row exactly one gets it. What is written to a row counts
only while its fencing number is still the one that the claim gave.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Case, F, Q, Value, When

from coordinator.commits import committing
from coordinator.models import CommandEntity, Lane, lease_from
from taskmonitor.services.transaction import writing
from taskmonitor.statements import bound, executed

Claim = tuple[UUID, int]  # a command's id, and the fencing number that its claim got

NEVER = datetime.max.replace(tzinfo=UTC)
_TABLE = CommandEntity._meta.db_table
_DUE_UNLESS_WOKEN = '"due_at" = CASE WHEN "woken" THEN %s ELSE %s END, "woken" = FALSE'


class Superseded(BaseException):
    """The command was claimed by somebody else, or changed by an operator; nothing was written.

    No Exception, which a command that tries again would catch.
    """


class Lease:
    """A worker's hold on `row`, as it was claimed."""

    def __init__(self, row: CommandEntity) -> None:
        self.row = row

    def write(self, **fields: Any) -> None:
        """Write to the row and go on holding it, or raise Superseded."""
        sets = [f"{_column(name)} = %s" for name in fields]
        self._update(fields, sets or ['"fence" = "fence"'], [])

    def release(self, due_at: datetime | None, now: datetime, **fields: Any) -> None:
        """Write to the row and let go of it until `due_at`, or at once if it was woken; None: for good."""
        sets = [f"{_column(name)} = %s" for name in fields]
        values: list[Any] = [None]
        if due_at is None:
            sets.append('"due_at" = %s')
        else:
            sets.append(_DUE_UNLESS_WOKEN)
            values = bound(CommandEntity, {"due_at": now}) + bound(CommandEntity, {"due_at": due_at})
        self._update(fields, [*sets, '"lease_until" = NULL', "\"worker\" = ''"], values)
        self.row.due_at, self.row.lease_until = due_at, None

    def _update(self, fields: dict[str, Any], sets: list[str], more: list[Any]) -> None:
        row, (guard, sources) = self.row, _guard(fields.get("status"))
        sql = f'UPDATE "{_TABLE}" SET {", ".join(sets)} WHERE {guard}'  # noqa: S608 - names of ours
        held = bound(CommandEntity, {"command_id": row.command_id, "fence": row.fence})
        with executed(sql, [*bound(CommandEntity, fields), *more, *held, *sources]) as cursor:
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


def claim(
    now: datetime,
    *,
    worker: str,
    limit: int,
    lapsed: datetime | None = None,
    lane: Lane | None = None,
    types: Sequence[str] | None = None,
) -> list[Claim]:
    """Claim commands that are due and that nobody holds, the longest due first: their ids and fencing numbers.

    Only those of that lane and of those types, if they are given. Whose lease ended before `lapsed`, or before
    `now`, holds nothing. Of several that claim at once each gets other commands.
    """
    field: Any = CommandEntity._meta.get_field("due_at")
    instants = (now, lapsed or now, lease_from(now))
    instant, ended, until = (field.get_db_prep_save(each, connection) for each in instants)
    narrowed: list[Any] = [] if lane is None else [int(lane)]
    narrowed += [] if types is None else types
    sql = _claim_sql(connection.vendor, lane is not None, -1 if types is None else len(types))
    with writing(alone=True), connection.cursor() as cursor:
        cursor.execute(sql, [instant, ended, *narrowed, limit, until, until, worker])
        return [(UUID(str(key)), fence) for key, fence in cursor.fetchall()]


@cache
def _claim_sql(vendor: str, by_lane: bool, types: int) -> str:
    lock = "FOR UPDATE SKIP LOCKED" if vendor == "postgresql" else ""
    narrowed = "AND lane = %s" if by_lane else ""
    if types >= 0:
        narrowed += f" AND command_type IN ({', '.join(['%s'] * types) or 'NULL'})"
    return f"""
        WITH due AS MATERIALIZED (
            SELECT command_id FROM command_entities
            WHERE due_at <= %s AND (lease_until IS NULL OR lease_until <= %s) {narrowed}
            ORDER BY due_at LIMIT %s {lock}
        )
        UPDATE command_entities
        SET lease_until = %s, due_at = %s, worker = %s, woken = FALSE, fence = fence + 1
        WHERE command_id IN (SELECT command_id FROM due)
        RETURNING command_id, fence
    """  # noqa: S608 - words of ours


def next_due(lane: Lane, lapsed: datetime, types: Sequence[str]) -> datetime:
    """The earliest `due_at` among commands of this lane and these types that no worker holds; NEVER if there are none."""
    free = Q(lease_until=None) | Q(lease_until__lte=lapsed)
    due = CommandEntity.objects.filter(free, lane=lane, due_at__isnull=False, command_type__in=types)
    return due.order_by("due_at").values_list("due_at", flat=True).first() or NEVER


def wake(command_id: UUID, now: datetime) -> None:
    """Make a live command due now. If a worker holds it, it is due again as soon as that worker lets go of it."""
    sql = f"""
        UPDATE "{_TABLE}" SET "woken" = ("lease_until" IS NOT NULL), "poll_delay" = 0,
            "due_at" = CASE WHEN "lease_until" IS NULL THEN %s ELSE "due_at" END
        WHERE "command_id" = %s AND "due_at" IS NOT NULL
    """  # noqa: S608 - names of ours
    with executed(sql, bound(CommandEntity, {"due_at": now, "command_id": command_id})):
        pass


def at_once(now: datetime) -> dict[str, Any]:
    """The columns that an UPDATE writes to do to several live commands what `wake` does to one."""
    free = When(lease_until=None, then=Value(now))
    return {
        "due_at": Case(free, default=F("due_at")),
        "woken": Case(When(lease_until=None, then=Value(False)), default=Value(True)),
    }


def release_polled(leases: Sequence[Lease], now: datetime, *, due_at: datetime, poll_delay: int) -> None:
    """Let go, in one UPDATE, of those of the rows that are still ours, each with one more poll."""
    values = bound(CommandEntity, {"due_at": now})
    values += bound(CommandEntity, {"due_at": due_at, "poll_delay": poll_delay})
    for lease in leases:
        values += bound(CommandEntity, {"command_id": lease.row.command_id, "fence": lease.row.fence})
        lease.row.lease_until = None
    held = ", ".join(["(%s, %s)"] * len(leases))
    if connection.vendor == "postgresql":
        held = held.replace("(%s, %s)", "(%s::uuid, %s)", 1)
    sql = f"""
        UPDATE "{_TABLE}" SET {_DUE_UNLESS_WOKEN}, "poll_delay" = %s, "polls" = "polls" + 1, "deaths" = 0,
            "lease_until" = NULL, "worker" = ''
        WHERE "lease_until" IS NOT NULL AND ("command_id", "fence") IN (VALUES {held})
    """  # noqa: S608 - names of ours
    with executed(sql, values):
        pass


# For the watch over workers


def renew(workers: Sequence[str], now: datetime) -> None:
    """Let these workers hold what they hold for the length of one more lease."""
    until, held = lease_from(now), _held_by(workers)
    if held.exists():
        with committing("renew", alone=True):
            held.update(lease_until=until, due_at=until)


def give_back(worker: str, now: datetime, *, but: UUID) -> int:
    """Let others have what waits for its turn behind the command `but`; how many commands."""
    with committing("give-back", alone=True):
        rest = _held_by([worker]).exclude(pk=but)
        given: int = rest.update(lease_until=None, due_at=now, worker="", fence=F("fence") + 1)
    return given


def bury(worker: str, now: datetime, *, at: Claim | None, death: str) -> None:
    """Make due what a worker that has ended held; at the command of `at` it ended, in the way that `death` says."""
    with committing("bury"):
        if at is not None:
            CommandEntity.objects.filter(pk=at[0], fence=at[1], lease_until__isnull=False).update(
                deaths=F("deaths") + 1, death=death
            )
        _held_by([worker]).update(lease_until=None, due_at=now, worker="", fence=F("fence") + 1)


def still_held(claims: Sequence[Claim]) -> set[Claim]:
    """Those of the claims that still count."""
    rows = CommandEntity.objects.filter(pk__in=[key for key, _ in claims], lease_until__isnull=False)
    return set(rows.values_list("pk", "fence")) & set(claims)


def _held_by(workers: Sequence[str]) -> Any:
    return CommandEntity.objects.filter(lease_until__isnull=False, worker__in=workers)


@cache
def _column(name: str) -> str:
    field: Any = CommandEntity._meta.get_field(name)
    return f'"{field.column}"'
