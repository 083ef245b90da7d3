"""How fields are compared with what people write, and how a planner is told not to be clever."""

from typing import Any

from django.db.models import CharField, F, Func, Lookup, Q, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import IContains


class Like(IContains):
    """The field equals a text in which `*` stands for any text. A regular expression could run for ever."""

    param_pattern = "%s"

    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        sql, (value, *rest) = super().process_rhs(compiler, connection)
        return sql, [str(value).replace("*", "%"), *rest]


class Same(Lookup):
    """The field equals a text whatever the letter case, as an index of UPPER(field) has it."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_parameters = self.process_lhs(compiler, connection)
        right, right_parameters = self.process_rhs(compiler, connection)
        return f"UPPER({left}) = UPPER({right})", (*left_parameters, *right_parameters)


class Computed(Func):
    """The field as if computed, so that SQLite follows no index of it."""

    template = "+%(expressions)s"

    def __init__(self, field: str) -> None:
        super().__init__(F(field))


class _Spelling(TextField):  # type: ignore[type-arg]
    def from_db_value(self, value: str | None, _: Any, connection: Any) -> str | None:
        if value is None or connection.features.has_native_uuid_field:
            return value
        return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"


class Spelled(Cast):
    """A key as text, as `str` spells UUIDs; to make these first takes five times as long."""

    spelling = _Spelling()

    def __init__(self, field: str) -> None:
        super().__init__(field, self.spelling)


for kind in (CharField, TextField):
    kind.register_lookup(Like, "like")
    kind.register_lookup(Same, "same")


def like(field: str, value: str) -> Q:
    """The field equals `value` whatever the letter case, with `*` for any text."""
    return Q(**{f"{field}__{'like' if '*' in value else 'same'}": value})
