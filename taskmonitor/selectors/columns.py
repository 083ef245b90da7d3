"""What a condition on each column of the search language means: the parts of the list that meet it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import product
from typing import Self
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime

from taskmonitor import text_index
from taskmonitor.errors import Invalid
from taskmonitor.lifecycle import LIVE, Status
from taskmonitor.models import Entity, Job, JobEntity
from taskmonitor.selectors.expressions import like
from taskmonitor.selectors.jobs import Part, is_few

Parts = tuple[Part, ...]

MOST_PARTS = 12  # that are asked for one by one
SKEW = timedelta(days=1)  # by which clocks may have made an end earlier than a start


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter, and the parts that it has as long as these are few; together they would be very many."""

    where: Q
    parts: Parts | None
    bounded: bool = False

    @classmethod
    def of(cls, parts: Parts) -> Self:
        where = reduce(Q.__or__, (part.filter() for part in parts)) if parts else Q(pk__in=[])
        return cls(where, parts, any(part.bounded for part in parts))

    def __or__(self, other: Self) -> Self:
        parts = None
        if self.parts is not None and other.parts is not None:
            parts = self.parts + other.parts
        return self._with(self.where | other.where, parts, other)

    def __and__(self, other: Self) -> Self:
        parts = None
        if self.parts is not None and other.parts is not None:
            parts = tuple(one & another for one, another in product(self.parts, other.parts))
        return self._with(self.where & other.where, parts, other)

    def _with(self, where: Q, parts: Parts | None, other: Self) -> Self:
        few = parts if parts is not None and len(parts) <= MOST_PARTS else None
        return type(self)(where, few, self.bounded or other.bounded)

    @property
    def any_of(self) -> Parts:
        """The parts, or the one that is all."""
        return (Part(self.where, bounded=self.bounded),) if self.parts is None else self.parts


def containing(text: str) -> Parts:
    """The jobs whose description contains the text, in which `*` stands for any text."""
    return _described(f"*{text}*")


def _described(pattern: str) -> Parts:
    if max(map(len, pattern.split("*"))) < text_index.GRAM:
        return (Part(like("description", pattern), bounded=True),)
    return (Part(text=pattern),)


def _only(name: str, sign: str) -> bool:
    """Whether `sign` asks for what is equal, not for the rest; Invalid for < and >."""
    if sign not in ("=", "!="):
        raise Invalid("search", f"{name} can be compared by = and != only.")
    return sign == "="


def _narrowed(where: Q, *candidates: QuerySet[Job]) -> Parts:
    """The part that meets `where`; looked for among the candidates, which are all that can, if they are few."""
    keys: list[UUID] = []
    for jobs in candidates:
        listed = jobs.filter(cleared_at=None)
        if not is_few(listed):
            return (Part(where),)
        keys += listed.values_list("pk", flat=True)
    return (Part(where & Q(pk__in=keys), few=True),)


def _text(name: str, sign: str, value: str) -> Parts:
    return _described(value) if _only(name, sign) else (Part(~like(name, value)),)


def _exact(name: str, sign: str, value: str) -> Parts:
    where = Q(**{name: value})
    return (Part(where if _only(name, sign) else ~where),)


def _correlation(name: str, sign: str, value: str) -> Parts:
    where = Q(correlation_id=value)
    return _narrowed(where, Job.objects.filter(where)) if _only(name, sign) else (Part(~where),)


def _status(name: str, sign: str, value: str) -> Parts:
    if value.upper() not in Status.values:
        raise Invalid("search", f"status {value} is not one of {', '.join(Status.values)}.")
    only = _only(name, sign)
    return tuple(Part(Q(status=status)) for status in Status.values if (status == value.upper()) == only)


def _truth(name: str, sign: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise Invalid("search", f"{name} is true or false, not {value}.")
    return (value.lower() == "true") == _only(name, sign)


def _external(name: str, sign: str, value: str) -> Parts:
    where = Q(external__in=[_truth(name, sign, value)])  # SQLite has no index for NOT external
    return _narrowed(where, Job.objects.filter(where).order_by("start_time", "id"))  # as its index has them


def _auto_cleared(name: str, sign: str, value: str) -> Parts:
    return (Part(Q(auto_cleared=_truth(name, sign, value))),)


def _owner(name: str, sign: str, value: str) -> Parts:
    owners = User.objects.filter(like("username", value)).values("pk")
    if not _only(name, sign):
        return (Part(~Q(owner__in=owners)),)
    keys = [owner["pk"] for owner in owners[: MOST_PARTS + 1]]
    if len(keys) > MOST_PARTS:
        return (Part(Q(owner__in=owners)),)
    return tuple(Part(Q(owner=key)) for key in keys)


def _entity(name: str, sign: str, value: str) -> Parts:
    entities = Entity.objects.filter(like("name", value) | like("key", value)).values("pk")
    linked = Q(pk__in=JobEntity.objects.filter(entity__in=entities).values("job"))
    if not _only(name, sign):
        return (Part(~linked),)
    keys = [entity["pk"] for entity in entities[: MOST_PARTS + 1]]
    if len(keys) <= 1:
        return tuple(Part(entity=key) for key in keys)
    parts = _narrowed(linked, Job.objects.filter(linked))
    if parts[0].few or len(keys) > MOST_PARTS:
        return parts
    return tuple(Part(entity=key) for key in keys)


def _identifier(name: str, sign: str, value: str) -> Parts:
    try:
        where = Q(pk=UUID(value))
    except ValueError:
        raise Invalid("search", f"{name} {value} is not a UUID.") from None
    return (Part(where, few=True) if _only(name, sign) else Part(~where),)


def _instant(name: str, sign: str, value: str) -> Parts:
    instant = _read_instant(name, value)
    lookup = {"=": "", "!=": "", "<": "__lt", "<=": "__lte", ">": "__gt", ">=": "__gte"}[sign]
    where = Q(**{name + lookup: instant})
    if sign == "!=":
        return (Part(~where),)
    if name == "start_time":
        return (Part(where),)
    if sign in ("<", "<="):
        return (Part(where & Q(start_time__lte=_a_day_after(instant))),)
    ended = Job.objects.filter(auto_cleared__in=[True, False], end_time__gte=instant)
    if name == "end_time":
        return _narrowed(where, ended)
    return _narrowed(where, ended, Job.objects.filter(status__in=LIVE, last_updated__gte=instant))


def _a_day_after(instant: datetime) -> datetime:
    try:
        return instant + SKEW
    except OverflowError:
        return instant


def _read_instant(name: str, value: str) -> datetime:
    try:
        day = parse_date(value)
        instant = datetime(day.year, day.month, day.day) if day else parse_datetime(value)  # noqa: DTZ001
        if instant:
            return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # no such day; or beyond the years 1 to 9999 in UTC
        pass
    raise Invalid("search", f"{name} {value} is not a time such as 2026-11-21 or 2026-11-21T10:00:00Z.")


COLUMNS: dict[str, Callable[[str, str, str], Parts]] = {
    "id": _identifier,
    "description": _text,
    "status": _status,
    "external": _external,
    "auto_cleared": _auto_cleared,
    "owner": _owner,
    "entity": _entity,
    "action_type": _exact,
    "correlation_id": _correlation,
    "start_time": _instant,
    "end_time": _instant,
    "last_updated": _instant,
}
