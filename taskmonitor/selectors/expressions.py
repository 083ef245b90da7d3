"""How fields are compared with what people write, and how a planner is told not to be clever."""

from typing import Any

from django.db import connection
from django.db.models import CharField, DateTimeField, Q, TextField, Transform, UUIDField
from django.db.models.functions import Cast

from taskmonitor.letters import in_any_case
from taskmonitor.statements import Comparison


class Like(Comparison):
    """The field has the pattern, in which % stands for any text. A regular expression could run for ever."""

    forms = {"sqlite": r"{} LIKE {} ESCAPE '\'", "postgresql": "UPPER({}::text) LIKE UPPER({})"}


class Pattern(Comparison):
    """The field has the pattern, letter for letter. Where that has a beginning, an index finds it."""

    forms = {"sqlite": "{} GLOB {}", "postgresql": "{} LIKE {}"}


class Same(Comparison):
    """The field equals a text whatever the letter case, as an index of UPPER(field) has it."""

    forms = dict.fromkeys(("sqlite", "postgresql"), "UPPER({}) = UPPER({})")


class Computed(Transform):
    """The field as if computed, so that SQLite follows no index of it."""

    lookup_name = "computed"
    template = "+%(expressions)s"


class _Spelling(TextField):  # type: ignore[type-arg]
    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        if value is None or len(value) > 32:  # SQLite has the digits alone
            return value
        return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"


class Spelled(Cast):
    """A key as text, as `str` spells UUIDs; to make these first takes five times as long."""

    spelling = _Spelling()

    def __init__(self, field: str) -> None:
        super().__init__(field, self.spelling)


for text in (CharField, TextField):
    text.register_lookup(Like, "like")
    text.register_lookup(Pattern, "pattern")
    text.register_lookup(Same, "same")
for place in (CharField, DateTimeField, UUIDField):
    place.register_lookup(Computed)


def like(field: str, value: str) -> Q:
    """The field equals `value` whatever the letter case, with `*` for any text."""
    if connection.vendor == "sqlite" and not value.isascii():  # its LIKE and UPPER know no other letters
        return Q(**{f"{field}__pattern": "".join(_glob(in_any_case(letter)) for letter in value)})
    if "*" not in value:
        return Q(**{f"{field}__same": value})
    return Q(**{f"{field}__like": _escaped(value)})


def matching(field: str, value: str) -> Q:
    """The field equals `value`, capitals and all, with `*` for any text."""
    if "*" not in value:
        return Q(**{field: value})
    pattern = "".join(map(_glob, value)) if connection.vendor == "sqlite" else _escaped(value)
    return Q(**{f"{field}__pattern": pattern})


def by_walk(field: str) -> str:
    """The field for a filter that is met on the way down a list; SQLite would rather sort all that an index finds."""
    return f"{field}__computed" if connection.vendor == "sqlite" else field


def _escaped(value: str) -> str:
    """As LIKE has it."""
    return connection.ops.prep_for_like_query(value).replace("*", "%")


def _glob(spellings: str) -> str:
    """One letter of these, as GLOB has it."""
    return f"[{spellings}]" if len(spellings) > 1 or spellings in "?[" else spellings
