"""The search language of job lists, after oVirt's.

    status = started and (owner = backup or entity = web-*) and start_time > 2026-11-01 sortby start_time asc page 2

A word alone is looked for in descriptions. `*` stands for any text, quotes keep blanks together.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.dateparse import parse_date, parse_datetime

from taskmonitor.errors import Invalid
from taskmonitor.lifecycle import Status
from taskmonitor.models import Entity, JobEntity

_TOKEN = re.compile(r"""\s*(?:(?P<quoted>"[^"]*")|(?P<sign>!=|<=|>=|[=<>()])|(?P<word>[^\s"=<>()!]+))""")
_DEEPEST = 20
_LONGEST = 2000  # characters


@dataclass(frozen=True, slots=True)
class Search:
    """What a query asks for: a filter on jobs, the direction by start time, and the page of `max` jobs."""

    where: Q
    oldest_first: bool = False
    page: int = 1


def parse(query: str) -> Search:
    """The search that `query` spells; Invalid, naming the column, if it is wrong."""
    if len(query) > _LONGEST:
        raise Invalid("search", f"has {len(query)} characters; at most {_LONGEST} are read.")
    return _Parser(query).search()


class _Parser:
    def __init__(self, query: str) -> None:
        self.tokens = _tokens(query)
        self.place = 0
        self.depth = 0

    def search(self) -> Search:
        where = Q() if self.peek() in ("", "sortby", "page") else self.any_of()
        oldest_first, page = False, 1
        if self.take("sortby"):
            column = self.next("a column after sortby")
            if column != "start_time":
                raise Invalid("search", f"jobs can be sorted by start_time, not by {column}.")
            oldest_first = not self.take("desc")
            self.take("asc")
        if self.take("page"):
            number = self.next("a number after page")
            if not re.fullmatch("[1-9][0-9]{0,5}", number):
                raise Invalid("search", f"page {number} is not a number from 1 to 999999.")
            page = int(number)
        if self.peek():
            raise Invalid(
                "search", f"{self.peek()!r} is not understood there; join conditions by 'and' or 'or'."
            )
        return Search(where, oldest_first, page)

    def any_of(self) -> Q:
        where = self.all_of()
        while self.take("or"):
            where |= self.all_of()
        return where

    def all_of(self) -> Q:
        where = self.condition()
        while self.take("and"):
            where &= self.condition()
        return where

    def condition(self) -> Q:
        if self.take("("):
            self.depth += 1
            if self.depth > _DEEPEST:
                raise Invalid("search", f"has more than {_DEEPEST} parentheses within each other.")
            where = self.any_of()
            self.depth -= 1
            if not self.take(")"):
                raise Invalid("search", "a parenthesis is not closed.")
            return where
        column = self.next("a column")
        sign = self.peek()
        if sign not in ("=", "!=", "<", "<=", ">", ">="):
            return Q(description__icontains=_unquoted(column))
        self.place += 1
        name = _unquoted(column).lower().removeprefix("jobs.").removeprefix("job.")
        read = COLUMNS.get(name)
        if read is None:
            raise Invalid("search", f"there is no column {column}; the columns are {', '.join(COLUMNS)}.")
        return read(name, sign, _unquoted(self.next(f"a value for {name}")))

    def peek(self) -> str:
        token = self.tokens[self.place] if self.place < len(self.tokens) else ""
        return token if token.startswith('"') else token.lower()

    def take(self, word: str) -> bool:
        if self.peek() != word:
            return False
        self.place += 1
        return True

    def next(self, what: str) -> str:
        if self.place >= len(self.tokens):
            raise Invalid("search", f"ends where {what} is expected.")
        self.place += 1
        return self.tokens[self.place - 1]


def _tokens(query: str) -> list[str]:
    tokens, place = [], 0
    query = query.rstrip()
    while place < len(query):
        match = _TOKEN.match(query, place)
        if match is None:
            raise Invalid("search", f"cannot be read from {query[place : place + 20]!r} on.")
        tokens.append(match[0].strip())
        place = match.end()
    return tokens


def _unquoted(token: str) -> str:
    return token[1:-1] if token.startswith('"') else token


def _signed(name: str, sign: str, where: Q) -> Q:
    if sign not in ("=", "!="):
        raise Invalid("search", f"{name} can be compared by = and != only.")
    return ~where if sign == "!=" else where


def _like(field: str, value: str) -> Q:
    """The field equals `value` whatever the letter case, with `*` for any text."""
    inner = value.strip("*")
    if "*" in inner:
        return Q(**{f"{field}__iregex": "^" + ".*".join(re.escape(part) for part in value.split("*")) + "$"})
    if inner == value:
        return Q(**{f"{field}__iexact": value})
    lookup = {(True, False): "iendswith", (False, True): "istartswith"}.get(
        (value.startswith("*"), value.endswith("*")), "icontains"
    )
    return Q(**{f"{field}__{lookup}": inner})


def _text(name: str, sign: str, value: str) -> Q:
    return _signed(name, sign, _like(name, value))


def _exact(name: str, sign: str, value: str) -> Q:
    return _signed(name, sign, _like(name, value) if "*" in value else Q(**{name: value}))


def _status(name: str, sign: str, value: str) -> Q:
    if value.upper() not in Status.values:
        raise Invalid("search", f"status {value} is not one of {', '.join(Status.values)}.")
    return _signed(name, sign, Q(status=value.upper()))


def _truth(name: str, sign: str, value: str) -> Q:
    if value.lower() not in ("true", "false"):
        raise Invalid("search", f"{name} is true or false, not {value}.")
    return _signed(name, sign, Q(**{name: value.lower() == "true"}))


def _owner(name: str, sign: str, value: str) -> Q:
    owners = list(User.objects.filter(_like("username", value)).values_list("pk", flat=True)[:1000])
    return _signed(name, sign, Q(owner=owners[0]) if len(owners) == 1 else Q(owner__in=owners))


def _entity(name: str, sign: str, value: str) -> Q:
    entities = Entity.objects.filter(_like("name", value) | _like("key", value)).values_list("pk", flat=True)
    return _signed(
        name, sign, Q(pk__in=JobEntity.objects.filter(entity__in=list(entities[:1000])).values("job"))
    )


def _identifier(name: str, sign: str, value: str) -> Q:
    try:
        return _signed(name, sign, Q(pk=UUID(value)))
    except ValueError:
        raise Invalid("search", f"{name} {value} is not a UUID.") from None


def _instant(name: str, sign: str, value: str) -> Q:
    try:
        day = parse_date(value)
        instant = datetime(day.year, day.month, day.day, tzinfo=UTC) if day else parse_datetime(value)
    except ValueError:
        instant = None
    if instant is None:
        raise Invalid("search", f"{name} {value} is not a time such as 2026-11-21 or 2026-11-21T10:00:00Z.")
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    lookup = {"=": "", "!=": "", "<": "__lt", "<=": "__lte", ">": "__gt", ">=": "__gte"}[sign]
    where = Q(**{name + lookup: instant})
    return ~where if sign == "!=" else where


COLUMNS: dict[str, Callable[[str, str, str], Q]] = {
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
