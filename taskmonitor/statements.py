"""SQL that is made once and run often.

Django makes a query's SQL anew each time, which takes ten to thirty times as long as SQLite takes to answer
it. The few statements that every request runs are made once here, from the same querysets and fields.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property, lru_cache
from itertools import chain, repeat
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.sqlite3.base import FORMAT_QMARK_REGEX
from django.db.models import (
    AutoField,
    DateTimeField,
    Field,
    ForeignKey,
    IntegerField,
    JSONField,
    Lookup,
    Model,
    Q,
    QuerySet,
    UUIDField,
)
from django.db.models.base import ModelState
from django.db.models.expressions import Col, Value

M = TypeVar("M", bound=Model)
Row = tuple[Any, ...]

ROWS = 500  # that one statement inserts; SQLite binds 32 766 values at most


class Given(Value):
    """Stands in a prepared query for the value that a run gives at this position."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


class Comparison(Lookup):
    """A lookup that each vendor's database has a form of."""

    forms: dict[str, str]

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_parameters = self.process_lhs(compiler, connection)
        right, right_parameters = self.process_rhs(compiler, connection)
        return self.forms[connection.vendor].format(left, right), (*left_parameters, *right_parameters)


class Among(Comparison):
    """The field is one of the values of a list, however long it is; to the database that is one value."""

    forms = {"sqlite": "{} IN (SELECT value FROM json_each({}))", "postgresql": "{} = ANY({})"}
    prepare_rhs = False

    def get_db_prep_lookup(self, value: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (_plain(value) if connection.vendor == "sqlite" else value,)


for _keys in (ForeignKey, UUIDField, IntegerField):
    _keys.register_lookup(Among, "among")


@dataclass(frozen=True, slots=True)
class _Conversion:
    """What makes Python's values of the database's, in all columns that need the same."""

    functions: list[Callable[..., Any]]
    column: Any
    places: list[int]

    @property
    def makes_mutables(self) -> bool:
        """Whether what it makes can be changed, so that no two rows may have the same."""
        return isinstance(self.column.output_field, JSONField)

    def convert(self, values: Iterable[Any], database: Any) -> Iterable[Any]:
        for function in self.functions:
            values = map(function, values, repeat(self.column), repeat(database))
        return values


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which columns of a row make an instance, and its related ones."""

    model: type[Model]
    attributes: list[str]
    places: slice
    related: list[tuple[Callable[[Model, Model | None], None], int, "_Shape"]]  # with the place of its key

    @classmethod
    def of(cls, info: dict[str, Any], names: list[str]) -> "_Shape":
        places = slice(info["select_fields"][0], info["select_fields"][-1] + 1)  # they stand side by side
        related = []
        for one in info.get("related_klass_infos", ()):
            shape = cls.of(one, names)
            key = shape.places.start + shape.attributes.index(shape.model._meta.pk.attname)
            related.append((one["local_setter"], key, shape))
        return cls(info["model"], names[places], places, related)

    def instance(self, row: Row) -> Any:
        made = _stored(self.model, dict(zip(self.attributes, row[self.places], strict=True)))
        for put, key, shape in self.related:
            put(made, None if row[key] is None else shape.instance(row))
        return made


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    parameters: tuple[Any, ...]
    shape: _Shape
    conversions: list[_Conversion]

    @classmethod
    def of(cls, queryset: QuerySet[Any, Any]) -> "_Compiled":
        """The statement of the queryset; EmptyResultSet if it needs none."""
        compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        sql, parameters = compiler.as_sql()
        columns = [column for column, _, _ in compiler.select]
        conversions: list[_Conversion] = []
        for place, (functions, column) in compiler.get_converters(columns).items():
            if compiler.connection.vendor == "sqlite" and isinstance(column.output_field, DateTimeField):
                functions = [_instant]
            same = next((one for one in conversions if one.functions == functions), None)
            if same is None:
                conversions.append(same := _Conversion(functions, column, []))
            same.places.append(place)
        names = [column.target.attname for column in columns if isinstance(column, Col)]
        return cls(sql, tuple(parameters), _Shape.of(compiler.klass_info, names), conversions)

    def instances(self, bound: Sequence[Any]) -> list[Any]:
        return [self.shape.instance(row) for row in self.rows(bound)]

    def rows(self, bound: Sequence[Any]) -> list[Row]:
        with executed(self.sql, bound) as cursor:
            rows: list[Row] = cursor.fetchall()
        if not rows or not self.conversions:
            return rows
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        database = connections[DEFAULT_DB_ALIAS]
        for conversion in self.conversions:
            if conversion.makes_mutables:
                for place in conversion.places:
                    columns[place] = conversion.convert(columns[place], database)
                continue
            # a job's key stands in each of its steps, a parent's in its children
            given = set(chain.from_iterable(columns[place] for place in conversion.places))
            known = dict(zip(given, conversion.convert(given, database), strict=True))
            for place in conversion.places:
                columns[place] = map(known.__getitem__, columns[place])
        return list(zip(*columns, strict=True))


class Prepared(Generic[M]):
    """A queryset of one shape, related rows included; `build` makes it from stand-ins for the values."""

    def __init__(self, build: Callable[..., QuerySet[M, Any]]) -> None:
        self._build = build

    def first(self, *values: Any) -> M | None:
        """The first instance for these values."""
        found = self.all(*values)
        return found[0] if found else None

    def all(self, *values: Any) -> list[M]:
        """All instances for these values."""
        return self._compiled.instances(self._bound(values))

    def rows(self, *values: Any) -> list[Row]:
        """The rows for these values, as Python knows them."""
        return self._compiled.rows(self._bound(values))

    def _bound(self, values: tuple[Any, ...]) -> list[Any]:
        if not connections[DEFAULT_DB_ALIAS].features.has_native_uuid_field:
            values = tuple(map(_plain, values))
        return [values[one.value] if isinstance(one, Given) else one for one in self._compiled.parameters]

    @cached_property
    def _compiled(self) -> _Compiled:
        return _Compiled.of(self._build(*(Given(place) for place in range(self._build.__code__.co_argcount))))


class Filtered(Generic[M]):
    """A queryset, narrowed by filters of any shape; the SQL of each shape, order and slice is made once.

    A filter's lookups are such as take a value as it is, not `contains` and the like; a list belongs to `among`.
    """

    def __init__(self, build: Callable[[], QuerySet[M, M]]) -> None:
        self._build = build
        self._prepared = lru_cache(maxsize=500)(self._prepare)

    def all(
        self, where: Q, order: tuple[str, ...] = (), *, start: int = 0, stop: int | None = None
    ) -> list[M]:
        """The instances that meet `where`, in that order, from place `start` up to `stop`."""
        values: list[Any] = []
        try:
            return self._prepared(_shape(where, values), order, start, stop).all(*values)
        except EmptyResultSet:
            return []

    def _prepare(self, where: Q, order: tuple[str, ...], start: int, stop: int | None) -> Prepared[M]:
        return Prepared(lambda: self._build().filter(where).order_by(*order)[start:stop])


def _shape(where: Q, values: list[Any]) -> Q:
    """The filter with stand-ins for its plain values, which are put behind `values`."""
    children: list[Any] = []
    for child in where.children:
        if isinstance(child, Q):
            child = _shape(child, values)
        elif isinstance(child, tuple) and type(child[1]) in _PLAIN:
            values.append(child[1])
            child = (child[0], _given(len(values) - 1))
        children.append(child)
    return Q(*children, _connector=where.connector, _negated=where.negated)


_PLAIN = (str, int, datetime, UUID, list)
_given = cache(Given)


def _plain(value: Any) -> Any:
    """The value as SQLite takes it; a list as the JSON that it reads."""
    if isinstance(value, list):
        return json.dumps([_plain(one) for one in value])
    return _USUAL[type(value)](value) if type(value) in _USUAL else value


def _stored(model: type[M], fields: dict[str, Any]) -> M:
    """The instance with these fields, as `Model.from_db` makes it, without its signals and other detours."""
    instance = model.__new__(model)
    fields["_state"] = state = ModelState()
    state.adding, state.db = False, DEFAULT_DB_ALIAS
    instance.__dict__ = fields
    return instance


def insert(*rows: Model) -> None:
    """Store new rows of one table as they are: nothing is read back, no signal is sent."""
    database = connections[DEFAULT_DB_ALIAS]
    for start in range(0, len(rows), ROWS):
        batch = rows[start : start + ROWS]
        sql, fields = _insertion(type(batch[0]), len(batch))
        values = [_bound(field, getattr(row, field.attname), database) for row in batch for field in fields]
        with executed(sql, values):
            for row in batch:
                row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def update(model: type[Model], key: Any, values: dict[str, Any], *, statuses: tuple[str, ...] = ()) -> bool:
    """Write plain values to the row of that primary key, if its status is one of `statuses`; whether it was."""
    sql = _change(model, tuple(values), len(statuses))
    changed = bound(model, {**values, "pk": key})
    with executed(sql, [*changed, *statuses]) as cursor:
        return bool(cursor.rowcount)


def bound(model: type[Model], values: dict[str, Any]) -> list[Any]:
    """Values of fields, by their names, as the database takes them."""
    database, fields = connections[DEFAULT_DB_ALIAS], _fields(model)
    return [_bound(fields[name], value, database) for name, value in values.items()]


@cache
def _fields(model: type[Model]) -> dict[str, "Field[Any, Any]"]:
    """The fields by every name that they have."""
    meta: Any = model._meta
    named = {name: field for field in meta.concrete_fields for name in (field.name, field.attname)}
    return {**named, "pk": meta.pk}


@cache
def _change(model: type[Model], names: tuple[str, ...], statuses: int) -> str:
    meta, fields = model._meta, _fields(model)
    sets = ", ".join([f'"{fields[name].column}" = %s' for name in names])
    guard = f" AND status IN ({', '.join(['%s'] * statuses)})" if statuses else ""
    return f'UPDATE "{meta.db_table}" SET {sets} WHERE "{meta.pk.column}" = %s{guard}'  # noqa: S608 - names of ours


@lru_cache(maxsize=100)  # for some numbers of rows
def _insertion(model: type[Model], rows: int) -> tuple[str, list["Field[Any, Any]"]]:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]
    names = ", ".join(f'"{field.column}"' for field in fields)
    places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * rows)
    return f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES {places}', fields  # noqa: S608 - names of ours


@contextmanager
def executed(sql: str, values: Sequence[Any]) -> Iterator[Any]:
    """The cursor of the statement, good until the next one. It is the driver's, unless somebody watches what Django's does.

    Django's takes longer to pass on a statement than SQLite takes to run it; and psycopg's own takes long to make.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    if database.queries_logged or database.execute_wrappers or database.needs_rollback:
        with database.cursor() as cursor:
            cursor.execute(sql, values)
            yield cursor
        return
    database.close_if_health_check_failed()
    database.ensure_connection()
    with database.wrap_database_errors:
        if database.vendor == "sqlite":
            yield database.connection.execute(_with_question_marks(sql), values)
        else:
            yield _kept_cursor(database).execute(sql, values)


def _kept_cursor(database: Any) -> Any:
    """The one cursor of the present connection."""
    kept = getattr(database, "kept_cursor", None)
    if kept is None or kept.connection is not database.connection:
        from psycopg.types.datetime import TimestamptzLoader  # which SQLite does without

        kept = database.kept_cursor = database.connection.cursor()
        kept.adapters.register_loader("timestamptz", TimestamptzLoader)  # Django's sets the zone once more
    return kept


@lru_cache(maxsize=1000)  # searches are of any shape
def _with_question_marks(sql: str) -> str:
    return FORMAT_QMARK_REGEX.sub("?", sql).replace("%%", "%")


def _bound(field: "Field[Any, Any]", value: Any, database: Any) -> Any:
    """The value as the database takes it; the usual ones of SQLite without Django's detours."""
    usual = _USUAL.get(type(value))
    if usual is None or database.vendor != "sqlite" or isinstance(field, JSONField):
        return field.get_db_prep_save(value, database)
    return usual(value)


_USUAL: dict[type, Callable[[Any], Any]] = {
    **dict.fromkeys((str, int, bool, type(None)), lambda value: value),
    UUID: lambda value: value.hex,
    datetime: lambda value: value.astimezone(UTC).replace(tzinfo=None).isoformat(" "),
}


def _instant(value: str | None, *_: Any) -> datetime | None:
    return datetime.fromisoformat(f"{value}+00:00") if value else None


@contextmanager
def planned_afresh() -> Iterator[None]:
    """Within it, PostgreSQL plans each query for its own values.

    A prepared statement gets one plan for average values, which walks a list of a million to its end for
    the one owner, or word, that has hardly any jobs.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql":
        yield
        return
    database.ensure_connection()
    raw: Any = database.connection
    threshold, raw.prepare_threshold = raw.prepare_threshold, None
    try:
        yield
    finally:
        raw.prepare_threshold = threshold
