"""Where a command is shown: its own job, or a step of another's. Commands of no interest are not shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from coordinator.models import CommandEntity, CommandStatus
from taskmonitor.lifecycle import Status
from taskmonitor.models import Actor, StepType
from taskmonitor.services.own_work import OwnWork, attached, new_job

if TYPE_CHECKING:
    from coordinator.command import Command


@dataclass(frozen=True, slots=True)
class Place:
    """The job and step that show a command."""

    job_id: UUID | None = None
    step_id: UUID | None = None
    owns_job: bool = False


def show(command: Command[Any, Any], *, actor: Actor, now: datetime) -> Place:
    """Show a new root command, in the caller's transaction.

    One without a job gets its own, with the engine's steps: VALIDATING, which is over, and EXECUTING. One
    with a job gets an EXECUTING step there; the errors are those of `own_work.attached`.
    """
    if not command.monitored:
        return Place()
    context, description = command.context, command.description
    if context.job_id is None:
        with new_job(
            description=description,
            action_type=command.name[:50],
            correlation_id=context.correlation_id,
            actor=actor,
            now=now,
        ) as work:
            validating = work.add_step(description="Validating", type=StepType.VALIDATING)
            work.end_step(validating.pk, Status.FINISHED)
            return Place(work.job.pk, _executing(work, description), owns_job=True)
    with attached(context.job_id, context.step_id, actor=actor, now=now) as work:
        return Place(context.job_id, _executing(work, description, context.step_id))


def step_above(parent: CommandEntity) -> UUID | None:
    """The step beneath which that command's children are shown: its own, or else that of the nearest one above it.

    Beneath a root that is not monitored there is no job, and nobody is shown any of it.
    """
    row: CommandEntity | None = parent
    while row and row.job_id and row.parent_command_id and row.step_id is None:
        row = CommandEntity.objects.filter(pk=row.parent_command_id).first()
    return row.step_id if row else None


def show_child(command: Command[Any, Any], above: UUID | None, work: OwnWork | None) -> Place:
    """Show a child command beneath the step `above`."""
    if work is None or not command.monitored:
        return Place(command.context.job_id)
    return Place(work.job.pk, _executing(work, command.description, above))


def settle(row: CommandEntity, work: OwnWork | None) -> None:
    """Show that the command's work is over, and how it went; nothing if that was shown before."""
    if work is None or row.step_id is None:
        return
    if work.end_step(row.step_id, _outcome(row.status), row.error) and row.owns_job:
        work.add_step(description="Finalizing", type=StepType.FINALIZING)


def end(row: CommandEntity, work: OwnWork | None) -> None:
    """Show that the command has ended; its own job ends with it."""
    if work is not None and row.owns_job:
        work.end(_outcome(row.status), row.error)


def lose(row: CommandEntity, work: OwnWork | None) -> None:
    """Show that nobody knows what came of the command."""
    settle(row, work)
    if work is not None and row.owns_job:
        work.lose(row.error)


def find_again(row: CommandEntity, work: OwnWork | None) -> None:
    """Show that its own job, which was lost, goes on."""
    if work is not None and row.owns_job:
        work.find_again()


def again(row: CommandEntity, work: OwnWork | None) -> UUID | None:
    """Show that the command's work goes on though it was said to be over, by a new step; that step's id."""
    step = work.step(row.step_id) if work and row.step_id else None
    if work is None or step is None:
        return row.step_id
    return _executing(work, step.description, step.parent_step_id)


def _executing(work: OwnWork, description: str, parent_step_id: UUID | None = None) -> UUID:
    return work.add_step(description=description, type=StepType.EXECUTING, parent_step_id=parent_step_id).pk


def _outcome(status: str | None) -> Status:
    good = (CommandStatus.SUCCEEDED, CommandStatus.ENDED_SUCCESSFULLY)
    return Status.FINISHED if status in good else Status.FAILED
