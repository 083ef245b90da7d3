"""Commands out of rows, through the registry only: nothing in a row says what code runs."""

import json
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from coordinator import registry, secrets
from coordinator.command import Child, Command, Context
from coordinator.models import CommandEntity, CommandStatus, ExecutionReason
from taskmonitor.errors import Invalid, NotFound
from taskmonitor.statements import Prepared

_CHILDREN = Prepared(
    lambda parent: (
        CommandEntity.objects.filter(parent_command_id=parent)
        .order_by("position")
        .values_list("command_id", "command_type", "status")
    )
)
_ROW = Prepared(lambda key: CommandEntity.objects.filter(pk=key))


class Unbuildable(Exception):
    """The command of this row cannot be rebuilt; the message says why."""


def rebuild(row: CommandEntity) -> Command[Any, Any]:
    """The command as it was stored, or Unbuildable."""
    try:
        return _built(registry.get(row.command_type), row)
    except NotFound:
        raise Unbuildable(f"There is no command named {row.command_type}.") from None
    except Unbuildable:
        raise
    except Exception as error:
        raise Unbuildable(f"It cannot be made: {type(error).__name__}: {error}") from error


def _built(kind: type[Command[Any, Any]], row: CommandEntity) -> Command[Any, Any]:
    parameters = _model(kind.parameters_class, row.command_params_class, row.command_parameters)
    command = kind(row.command_id, parameters, context_of(row))
    command.status = CommandStatus(row.status or CommandStatus.NOT_STARTED)
    command.executed = row.executed
    command.saved, command.stage = row.checkpoint, row.stage
    if row.return_value is not None:
        command.result = _model(kind.result_class, row.return_value_class, row.return_value)
    return command


def context_of(row: CommandEntity) -> Context:
    """The context that the command was stored with."""
    return Context(
        user_id=row.user_id,
        correlation_id=row.correlation_id,
        job_id=row.job_id,
        step_id=row.step_id,
        execution_reason=ExecutionReason(row.execution_reason),
    )


def children_of(parent_id: UUID) -> Sequence[Child]:
    """The child commands, in their order."""
    return [
        Child(key, name, CommandStatus(status or CommandStatus.NOT_STARTED), _read)
        for key, name, status in _CHILDREN.rows(parent_id)
    ]


def shown_parameters(row: CommandEntity) -> Any:
    """The parameters as JSON knows them, without what is secret in them."""
    return _shown(row, "parameters_class", row.command_params_class, row.command_parameters)


def shown_result(row: CommandEntity) -> Any:
    """The result, likewise; None if there is none."""
    if row.return_value is None:
        return None
    return _shown(row, "result_class", row.return_value_class, row.return_value)


def parsed(field: str, kind: type[BaseModel], value: object) -> BaseModel:
    """Parameters as somebody gave them, such that they can be rebuilt; or Invalid that names the first wrong one below `field`."""
    try:
        valid = kind.model_validate(value)
        if place := _not_finite(valid.model_dump()):
            raise Invalid(f"{field}.{place}", "must be a number that JSON has, not infinity or NaN.")
        return kind.model_validate_json(secrets.stored(valid))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join([field, *(str(part) for part in first["loc"])])
        raise Invalid(path, f"{first['msg'][:1].lower()}{first['msg'][1:]}.") from None
    except (PydanticSerializationError, UnicodeError):
        raise Invalid(field, "cannot be written as JSON.") from None


def _read(command_id: UUID) -> Command[Any, Any] | None:
    """The command as it is stored now; None if it cannot be rebuilt."""
    row = _ROW.first(command_id)
    try:
        return None if row is None else rebuild(row)
    except Unbuildable:
        return None


def _not_finite(value: Any, place: str = "") -> str:
    """Where the first number stands that JSON has no word for; empty if there is none."""
    if isinstance(value, float):
        return "" if isfinite(value) else place.removeprefix(".")
    members: Iterable[tuple[object, Any]] = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list | tuple | set | frozenset):
        members = enumerate(value)
    found = (_not_finite(member, f"{place}.{name}") for name, member in members)
    return next(filter(None, found), "")


def _shown(row: CommandEntity, attribute: str, stored_class: str, stored: str) -> Any:
    try:
        kind = registry.get(row.command_type)
        return secrets.shown(_model(getattr(kind, attribute), stored_class, stored))
    except (NotFound, Unbuildable):
        try:
            return secrets.wholly_hidden(json.loads(stored))
        except ValueError:
            return secrets.HIDDEN


def _model(kind: type[BaseModel], stored_class: str, stored: str) -> BaseModel:
    try:
        return kind.model_validate_json(stored)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unbuildable(
            f"What was stored as {stored_class} does not fit: {place}: {first['msg']}."
        ) from None
