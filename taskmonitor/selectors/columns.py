"""What a condition on each column of the search language means.

The answer is the parts of the list that meet it. Each is made so that neither database walks far for it,
whether it is met often, seldom or never (docs/decisions/0003-text-search.md).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import product
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import CharField, Q, QuerySet, TextField
from django.db.models.lookups import IContains
from django.utils.dateparse import parse_date, parse_datetime

from taskmonitor import text_index
from taskmonitor.errors import Invalid
from taskmonitor.lifecycle import LIVE, Status
from taskmonitor.models import Entity, Job, JobEntity
from taskmonitor.selectors.jobs import Part
from taskmonitor.text_index import FEW

Parts = tuple[Part, ...]

MOST_PARTS = 12  # that are asked for one by one
SKEW = timedelta(days=1)  # by which clocks may have made an end earlier than a start


class Like(IContains):
    """The field equals a text in which `*` stands for any text. A regular expression could run for ever."""

    param_pattern = "%s"

    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        sql, (value, *rest) = super().process_rhs(compiler, connection)
        return sql, [str(value).replace("*", "%"), *rest]


CharField.register_lookup(Like, "like")
TextField.register_lookup(Like, "like")


def all_of(some: Parts, others: Parts) -> Parts:
    """The parts of what is in `some` and in `others`."""
    return _bounded(tuple(one & other for one, other in product(some, others)))


def containing(text: str) -> Parts:
    """The jobs whose description contains the text, in which `*` stands for any text."""
    return _described(f"*{text}*")


def _bounded(parts: Parts) -> Parts:
    if len(parts) <= MOST_PARTS:
        return parts
    bounded = any(part.bounded for part in parts)
    return (Part(reduce(Q.__or__, (part.filter() for part in parts)), bounded=bounded),)


def _only(name: str, sign: str) -> bool:
    """Whether `sign` asks for what is equal, not for the rest; Invalid for < and >."""
    if sign not in ("=", "!="):
        raise Invalid("search", f"{name} can be compared by = and != only.")
    return sign == "="


def _like(field: str, value: str) -> Q:
    """The field equals `value` whatever the letter case, with `*` for any text."""
    return Q(**{f"{field}__{'like' if '*' in value else 'iexact'}": value})


def _described(pattern: str) -> Parts:
    short = max(map(len, pattern.split("*"))) < text_index.GRAM
    return (Part(_like("description", pattern) & text_index.narrowed(pattern), bounded=short),)


def _text(name: str, sign: str, value: str) -> Parts:
    return _described(value) if _only(name, sign) else (Part(~_like(name, value)),)


def _exact(name: str, sign: str, value: str) -> Parts:
    where = Q(**{name: value})
    return (Part(where if _only(name, sign) else ~where),)


def _status(name: str, sign: str, value: str) -> Parts:
    if value.upper() not in Status.values:
        raise Invalid("search", f"status {value} is not one of {', '.join(Status.values)}.")
    only = _only(name, sign)
    return tuple(Part(Q(status=status)) for status in Status.values if (status == value.upper()) == only)


def _truth(name: str, sign: str, value: str) -> Parts:
    if value.lower() not in ("true", "false"):
        raise Invalid("search", f"{name} is true or false, not {value}.")
    return (Part(Q(**{name: (value.lower() == "true") == _only(name, sign)})),)


def _owner(name: str, sign: str, value: str) -> Parts:
    owners = User.objects.filter(_like("username", value)).values("pk")
    if not _only(name, sign):
        return (Part(~Q(owner__in=owners)),)
    keys = [owner["pk"] for owner in owners[: MOST_PARTS + 1]]
    if len(keys) > MOST_PARTS:
        return (Part(Q(owner__in=owners)),)
    return tuple(Part(Q(owner=key)) for key in keys)


def _entity(name: str, sign: str, value: str) -> Parts:
    entities = Entity.objects.filter(_like("name", value) | _like("key", value)).values("pk")
    linked = Q(pk__in=JobEntity.objects.filter(entity__in=entities).values("job"))
    if not _only(name, sign):
        return (Part(~linked),)
    keys = [entity["pk"] for entity in entities[: MOST_PARTS + 1]]
    if len(keys) > MOST_PARTS:
        return (Part(linked),)
    return tuple(Part(entity=key) for key in keys)


def _identifier(name: str, sign: str, value: str) -> Parts:
    try:
        where = Q(pk=UUID(value))
    except ValueError:
        raise Invalid("search", f"{name} {value} is not a UUID.") from None
    return (Part(where if _only(name, sign) else ~where),)


def _instant(name: str, sign: str, value: str) -> Parts:
    try:
        instant = _read_instant(value)
    except (ValueError, OverflowError):  # no such day; or beyond the years 1 to 9999 in UTC
        instant = None
    if instant is None:
        raise Invalid("search", f"{name} {value} is not a time such as 2026-11-21 or 2026-11-21T10:00:00Z.")
    lookup = {"=": "", "!=": "", "<": "__lt", "<=": "__lte", ">": "__gt", ">=": "__gte"}[sign]
    where = Q(**{name + lookup: instant})
    if sign == "!=":
        return (Part(~where),)
    return (Part(where if name == "start_time" else where & _near(name, sign, instant)),)


def _near(name: str, sign: str, instant: datetime) -> Q:
    """What is true besides of a job that ended, or was last updated, that long before or after the instant."""
    if sign in ("<", "<="):
        return Q(start_time__lte=_shifted(instant, SKEW))
    ended = Job.objects.filter(auto_cleared__in=(True, False), end_time__gte=instant)
    live = Job.objects.filter(status__in=LIVE, last_updated__gte=instant)
    return few(ended) if name == "end_time" else few(ended, live)


def few(*candidates: QuerySet[Job]) -> Q:
    """That a job is among the candidates, if these are few; nothing if they are many."""
    where = Q()
    left = FEW
    for jobs in candidates:
        keys = jobs.filter(cleared_at=None).order_by().values("pk")[: left + 1]
        left -= keys.count()
        if left < 0:
            return Q()
        where |= Q(pk__in=keys)
    return where


def _shifted(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError:
        return instant


def _read_instant(value: str) -> datetime | None:
    day = parse_date(value)
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) if day else parse_datetime(value)
    if instant and not instant.tzinfo:
        return instant.replace(tzinfo=UTC)
    return instant and instant.astimezone(UTC)


COLUMNS: dict[str, Callable[[str, str, str], Parts]] = {
    "id": _identifier,
    "description": _text,
    "status": _status,
    "external": _truth,
    "auto_cleared": _truth,
    "owner": _owner,
    "entity": _entity,
    "action_type": _exact,
    "correlation_id": _exact,
    "start_time": _instant,
    "end_time": _instant,
    "last_updated": _instant,
}
