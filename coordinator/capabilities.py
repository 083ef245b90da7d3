"""Which commands can be run, as programs and people are told."""

from dataclasses import dataclass
from typing import Any

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


def _capability(kind: type[Command[Any, Any]]) -> Capability:
    return Capability(
        name=kind.name,
        description=(kind.__doc__ or kind.name).strip().partition("\n")[0],
        monitored=kind.monitored,
        resumable=kind.resumable,
        right=str(kind.right),
        parameters=kind.parameters_class.model_json_schema(),
        result=kind.result_class.model_json_schema(mode="serialization"),
    )
