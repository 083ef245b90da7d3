"""The search language of job lists, after oVirt's.

    status = started and (owner = backup or entity = web-*) and start_time > 2026-11-01 sortby start_time asc page 2

A word alone is looked for in descriptions. `*` stands for any text, quotes keep blanks together, with `\\"` for
a quote and `\\\\` for a backslash in them, `and` binds closer than `or`, and neither words nor names know capitals.
Those of action types and correlation ids count (oVirt: the same).
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from django.db.models import Q

from taskmonitor.errors import Invalid
from taskmonitor.selectors.columns import COLUMNS, Condition, Parts, containing
from taskmonitor.selectors.jobs import ALL, FARTHEST
from taskmonitor.statements import planned_afresh

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\(?s:.))*")|(?P<sign>!=|<=|>=|[=<>()])|(?P<word>(?:[^\s"=<>()!]|!(?!=))+))"""
)
_UNREADABLE = re.compile("[\0\ud800-\udfff]")  # no text of ours has them, and no database takes them
_SIGNS = ("=", "!=", "<", "<=", ">", ">=")
_DEEPEST = 20
_LONGEST = 2000  # characters


@dataclass(frozen=True, slots=True)
class Search:
    """What a query asks for: a condition, the direction by start time, and the page of `max` jobs."""

    condition: Condition
    oldest_first: bool = False
    page: int = 1

    def offset(self, limit: int) -> int:
        """How many jobs its page number passes over; Invalid for very many, since those are read too."""
        offset = limit * (self.page - 1)
        if offset > FARTHEST:
            raise Invalid(
                "search", f"page {self.page} begins behind {FARTHEST} jobs; follow the links to it instead."
            )
        return offset

    @property
    def any_of(self) -> Parts:
        """The parts of the list, for `jobs.page`."""
        return self.condition.any_of

    @property
    def where(self) -> Q:
        """The same as a filter; slower for a list, right for one job."""
        return self.condition.where

    def also(self, parts: Parts) -> Self:
        """The search, narrowed to what is in the parts too."""
        return replace(self, condition=self.condition & Condition.of(parts))


def parse(query: str) -> Search:
    """The search that `query` spells; Invalid, naming the column, if it is wrong."""
    if len(query) > _LONGEST:
        raise Invalid("search", f"has {len(query)} characters; at most {_LONGEST} are read.")
    if found := _UNREADABLE.search(query):
        raise Invalid("search", f"has the character U+{ord(found[0]):04X} at position {found.start()}.")
    with planned_afresh():
        return _Parser(query).search()


class _Parser:
    def __init__(self, query: str) -> None:
        self.tokens = _tokens(query)
        self.place = 0
        self.depth = 0

    def search(self) -> Search:
        anything = self.peek() in ("", "sortby", "page")
        condition = Condition.of(ALL) if anything else self.any_of()
        oldest_first, page = False, 1
        if self.take("sortby"):
            column = self.next("a column after sortby")
            if column.lower() != "start_time":
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
        return Search(condition, oldest_first, page)

    def any_of(self) -> Condition:
        condition = self.all_of()
        while self.take("or"):
            condition |= self.all_of()
        return condition

    def all_of(self) -> Condition:
        condition = self.condition()
        while self.take("and"):
            condition &= self.condition()
        return condition

    def condition(self) -> Condition:
        if self.take("("):
            self.depth += 1
            if self.depth > _DEEPEST:
                raise Invalid("search", f"has more than {_DEEPEST} parentheses within each other.")
            condition = self.any_of()
            self.depth -= 1
            if not self.take(")"):
                raise Invalid("search", "a parenthesis is not closed.")
            return condition
        column = self.next("a column")
        sign = self.peek()
        if sign not in _SIGNS:
            return Condition.of(containing(_word(column)))
        self.place += 1
        name = _unquoted(column).lower().removeprefix("jobs.").removeprefix("job.")
        read = COLUMNS.get(name)
        if read is None:
            raise Invalid("search", f"there is no column {column}; the columns are {', '.join(COLUMNS)}.")
        return Condition.of(read(name, sign, _unquoted(self.next(f"a value for {name}"))))

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
    return re.sub(r'\\(["\\])', r"\1", token[1:-1]) if token.startswith('"') else token


def _word(token: str) -> str:
    """The word that stands alone; a sign of the language is none."""
    if token in (*_SIGNS, ")"):
        raise Invalid("search", f"{token!r} is not understood there; a column or a word is expected.")
    return _unquoted(token)
