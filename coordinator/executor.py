"""The entry point: `execute_async` stores a command and answers at once with a handle on its future."""

import asyncio
import logging
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.db import DataError, IntegrityError
from pydantic import BaseModel

from coordinator import nudge, registry
from coordinator.command import Command, Context
from coordinator.commits import committing
from coordinator.engine.queue import at_once
from coordinator.models import OVER, CommandEntity, CommandStatus, Lane
from coordinator.rebuild import parsed, rebuild
from coordinator.repository import get_command_entity, get_command_status
from coordinator.submission import store
from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.errors import Conflict, Invalid, NotAllowed, NotFound, TaskMonitorError
from taskmonitor.models import SYSTEM, Actor
from taskmonitor.services import jobs

logger = logging.getLogger(__name__)

FIRST_LOOK, LONGEST_LOOK = 0.005, 0.25  # seconds between looks at a command that is waited for


class CommandFailed(TaskMonitorError):
    """The command ended with failure; the message says why."""


@dataclass(frozen=True, slots=True)
class Handle:
    """The future of a stored command. It may be kept, or made anew from the id in another process."""

    command_id: UUID

    @property
    def status(self) -> CommandStatus:
        """How far the command is."""
        return get_command_status(self.command_id)

    def done(self) -> bool:
        """Whether it has ended, is UNKNOWN, or is gone."""
        return self.status in OVER

    def result(self, timeout: float | None = None) -> BaseModel | None:
        """What the command returned, once it has ended.

        TimeoutError after `timeout` seconds; CommandFailed if it failed; NotFound if it is not stored any more.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        look = FIRST_LOOK
        while not self.done():
            left = look if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"Command {self.command_id} has not ended within {timeout} s.")
            time.sleep(min(look, left))
            look = min(look * 2, LONGEST_LOOK)
        return self._result()

    def __await__(self) -> Generator[Any, None, BaseModel | None]:
        return self._wait().__await__()

    async def _wait(self) -> BaseModel | None:
        look = FIRST_LOOK
        while not await sync_to_async(self.done)():
            await asyncio.sleep(look)
            look = min(look * 2, LONGEST_LOOK)
        return await sync_to_async(self._result)()

    def _result(self) -> BaseModel | None:
        row = get_command_entity(self.command_id)
        if row is None:
            raise NotFound("Command", self.command_id)
        if row.status != CommandStatus.ENDED_SUCCESSFULLY:
            raise CommandFailed(row.error)
        result: BaseModel | None = rebuild(row).result
        return result


def execute_async(
    command_type: str | type[Command[Any, Any]],
    parameters: BaseModel | dict[str, Any] | None = None,
    context: Context | None = None,
    *,
    now: datetime,
    actor: Actor = SYSTEM,
) -> Handle:
    """Store a command and have a worker execute it; does not wait for anything (oVirt: executeAsyncCommand).

    NotFound for an unknown type, Invalid for parameters that do not fit or that the command refuses,
    NotAllowed if `actor` may not run it or change the job that is to show it, Conflict if the command's own
    code fails. Nothing is stored then.
    """
    kind = registry.get(command_type if isinstance(command_type, str) else command_type.name)
    if not actor.may(kind.right):
        raise NotAllowed(kind.right)
    given = parsed("parameters", kind.parameters_class, parameters if parameters is not None else {})
    command = _valid(kind, given, _checked(context or Context(), kind, actor))
    with committing("submit", alone=not kind.monitored):
        store(command, actor=actor, now=now)
        nudge.send(Lane.EXECUTE)
    return Handle(command.command_id)


def _valid(kind: type[Command[Any, Any]], given: BaseModel, context: Context) -> Command[Any, Any]:
    """The new command, if it says that it can run and what it is."""
    try:
        command = kind(uuid4(), given, context)
        command.validate()
        command.description  # noqa: B018 - the monitor will ask
    except TaskMonitorError:
        raise
    except Exception as error:
        if is_database_trouble(error):
            raise
        logger.exception("Command type=%s cannot be submitted", kind.name)
        raise Conflict(
            f"{kind.name} has a fault of its own, {type(error).__name__}; the log has it."
        ) from error
    return command


def deliver(command_id: UUID, data: Any, *, now: datetime) -> None:
    """Tell a live command of the event that it waits for, or will wait for.

    Conflict if it has ended or was set aside, or has another event to handle; Invalid for `data` that is no JSON.
    """
    try:
        with committing("deliver", alone=True):
            live = CommandEntity.objects.filter(pk=command_id, due_at__isnull=False, event__isnull=True)
            if not live.update(event={"data": data}, **at_once(now)):
                raise Conflict(f"Command {command_id} has ended, or has not yet handled its last event.")
            nudge.send(Lane.POLL)
    except (TypeError, DataError, IntegrityError):
        raise Invalid("data", "cannot be kept as JSON.") from None


def _checked(context: Context, kind: type[Command[Any, Any]], actor: Actor) -> Context:
    """The context with what is known of the caller; Invalid for one that a command of this kind cannot have."""
    if context.job_id is None and context.step_id is not None:
        raise Invalid("step_id", "give the step's job_id too.")
    if context.job_id is not None and not kind.monitored:
        raise Invalid("job_id", f"{kind.name} is not monitored, so no job can show it.")
    correlation_id = jobs.correlation(context.correlation_id or None)
    return replace(context, user_id=actor.user_id, correlation_id=correlation_id)
