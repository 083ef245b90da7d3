"""Which commands can be run, as programs and people are told."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from coordinator import registry
from coordinator.command import Command


@dataclass(frozen=True, slots=True)
class Capability:
    """A registered command. `parameters` and `result` are JSON schemas."""

    name: str
    description: str
    monitored: bool
    resumable: bool
    right: str
    parameters: dict[str, Any]
    result: dict[str, Any]


def capabilities() -> list[Capability]:
    """All of them, by name."""
    return [_capability(kind) for kind in registry.commands()]


def schema(model: type[BaseModel], mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    """The JSON schema of the model; that of any object for one which JSON schemas cannot describe."""
    try:
        return model.model_json_schema(mode=mode, schema_generator=_Quiet)
    except PydanticInvalidForJsonSchema:
        return {"type": "object"}


class _Quiet(GenerateJsonSchema):
    ignored_warning_kinds = {
        "skipped-choice",
        "non-serializable-default",
    }  # a default that JSON cannot say is left out


def _capability(kind: type[Command[Any, Any]]) -> Capability:
    return Capability(
        name=kind.name,
        description=(kind.__doc__ or kind.name).strip().partition("\n")[0],
        monitored=kind.monitored,
        resumable=kind.resumable,
        right=str(kind.right),
        parameters=schema(kind.parameters_class),
        result=schema(kind.result_class, mode="serialization"),
    )
