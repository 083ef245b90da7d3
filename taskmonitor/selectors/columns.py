"""What a condition on each column of the search language means: the parts of the list that meet it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import product
from typing import Self
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.dateparse import parse_date, parse_datetime

from taskmonitor import text_index
from taskmonitor.errors import Invalid
from taskmonitor.lifecycle import LIVE, Status
from taskmonitor.models import Entity, JobEntity
from taskmonitor.selectors.expressions import by_walk, like, matching
from taskmonitor.selectors.jobs import ALL, Part, is_few, keys
from taskmonitor.statements import Filtered

Parts = tuple[Part, ...]

_OWNERS = Filtered(lambda: User.objects.only("pk"))
_ENTITIES = Filtered(lambda: Entity.objects.only("pk"))

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
        where = reduce(Q.__or__, (part.filter() for part in parts)) if parts else Q(pk__in=())
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


def _narrowed(where: Q, *candidates: Q, order: tuple[str, ...] = ()) -> Parts:
    """The part that meets `where`; looked for among the candidates, which are all that can, if they are few."""
    found: list[UUID] = []
    for candidate in candidates:
        listed = candidate & Q(cleared_at=None)
        if not is_few(listed, order):
            return (Part(where),)
        found += keys(listed)
    return (Part(where & Q(pk__among=found), few=True),)


def _is_any(value: str) -> bool:
    return value != "" and not value.strip("*")


def _text(name: str, sign: str, value: str) -> Parts:
    only = _only(name, sign)
    if _is_any(value):
        return ALL if only else ()
    return _described(value) if only else (Part(~like(name, value)),)


def _action_type(name: str, sign: str, value: str) -> Parts:
    where = matching(name, value)
    return (Part(where if _only(name, sign) else ~where),)


def _correlation(name: str, sign: str, value: str) -> Parts:
    """By the index, which finds what begins alike; what may begin in any way is looked for among the newest."""
    only, where = _only(name, sign), matching(name, value)
    if _is_any(value):
        return ALL if only else ()
    if not only:
        return (Part(~where),)
    if value.startswith("*"):
        return (Part(where, bounded=True),)
    return _narrowed(matching(by_walk(name), value) if "*" in value else where, where)


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
    where = Q(external__in=(_truth(name, sign, value),))  # SQLite has no index for NOT external
    return _narrowed(where, where, order=("start_time", "id"))  # as its index has them


def _auto_cleared(name: str, sign: str, value: str) -> Parts:
    return (Part(Q(auto_cleared=_truth(name, sign, value))),)


def _owner(name: str, sign: str, value: str) -> Parts:
    named = like("username", value)
    where = Q(owner__in=User.objects.filter(named).values("pk"))
    if not _only(name, sign):
        return (Part(~where),)
    owners = _OWNERS.all(named, stop=MOST_PARTS + 1)
    return tuple(Part(Q(owner=owner.pk)) for owner in owners) if len(owners) <= MOST_PARTS else (Part(where),)


def _entity(name: str, sign: str, value: str) -> Parts:
    named = like("name", value) | like("key", value)
    if not _only(name, sign):
        return (Part(~_linked(named)),)
    parts = tuple(Part(entity=entity.pk) for entity in _ENTITIES.all(named, stop=MOST_PARTS + 1))
    if len(parts) <= 1:
        return parts
    linked = _linked(named)
    narrowed = _narrowed(linked, linked)
    return narrowed if narrowed[0].few or len(parts) > MOST_PARTS else parts


def _linked(named: Q) -> Q:
    """The jobs that work on any of the entities."""
    entities = Entity.objects.filter(named).values("pk")
    return Q(pk__in=JobEntity.objects.filter(entity__in=entities).values("job"))


def _identifier(name: str, sign: str, value: str) -> Parts:
    digits, star, rest = value.replace("-", "").partition("*")
    if rest or not re.fullmatch("[0-9a-fA-F]{0,31}" if star else "[0-9a-fA-F]{32}", digits):
        raise Invalid("search", f"{name} {value} is not a UUID, nor the beginning of one and *.")
    if not star:
        where = Q(pk=UUID(digits))
        return (Part(where, few=True) if _only(name, sign) else Part(~where),)
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    where = Q(pk__gte=first, pk__lte=last)
    if not _only(name, sign):
        return (Part(~where),)
    return _narrowed(Q(**{f"{by_walk(name)}__gte": first, f"{by_walk(name)}__lte": last}), where)


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
    ended = Q(auto_cleared__in=(True, False), end_time__gte=instant)
    if name == "end_time":
        return _narrowed(where, ended)
    return _narrowed(where, ended, Q(status__in=LIVE, last_updated__gte=instant))


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
    "action_type": _action_type,
    "correlation_id": _correlation,
    "start_time": _instant,
    "end_time": _instant,
    "last_updated": _instant,
}
