"""New commands, stored so that the workers find them."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from coordinator import monitoring
from coordinator.callbacks import Callback
from coordinator.command import Command
from coordinator.models import CommandEntity
from coordinator.rebuild import context_of
from coordinator.repository import create_command_entity, set_context
from taskmonitor.models import Actor
from taskmonitor.services.own_work import OwnWork
from taskmonitor.statements import insert


def store(command: Command[Any, Any], *, actor: Actor, now: datetime) -> CommandEntity:
    """Store a new root command, shown in the monitor and due at once, in the caller's transaction."""
    entity = _entity(command, monitoring.show(command, actor=actor, now=now), now)
    insert(entity)
    return entity


def store_children(
    parent: CommandEntity,
    planned: list[tuple[type[Command[Any, Any]], BaseModel]],
    work: OwnWork | None,
    now: datetime,
) -> None:
    """Store new child commands behind those that `parent` has, shown beneath its step or the nearest above, due at once."""
    context, above, entities = context_of(parent), monitoring.step_above(parent), []
    for position, (kind, parameters) in enumerate(planned, start=parent.children):
        child = kind(uuid4(), parameters, context)
        entity = _entity(child, monitoring.show_child(child, above, work), now)
        entity.parent_command_id, entity.root_command_id = parent.command_id, parent.top
        entity.position = position
        entities.append(entity)
    insert(*entities)


def _entity(command: Command[Any, Any], place: monitoring.Place, now: datetime) -> CommandEntity:
    entity = create_command_entity(command.command_id, command.name, command.parameters, now=now)
    set_context(entity, command.context)
    entity.job_id, entity.step_id, entity.owns_job = place.job_id, place.step_id, place.owns_job
    entity.callback_enabled = command.handler is not Callback
    entity.due_at = now
    return entity
