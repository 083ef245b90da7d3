"""The operations on stored commands, by the names of the design (oVirt: CommandsRepository, CommandEntityDao).

Missing rows are nobody's fault: an update of one does nothing, a read answers None or UNKNOWN.
"""

from datetime import datetime
from enum import StrEnum
from math import inf
from typing import Any, TypedDict
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce, Now
from pydantic import BaseModel

from coordinator import monitoring, nudge
from coordinator.callbacks import Callback
from coordinator.command import Command, Context
from coordinator.commits import committing
from coordinator.models import ENDED, OVER, SETTLED, CommandEntity, CommandStatus, Lane
from coordinator.rebuild import Unbuildable, rebuild
from coordinator.secrets import stored
from taskmonitor.errors import Conflict
from taskmonitor.services.own_work import OwnWork
from taskmonitor.services.portions import Portions, delete_first
from taskmonitor.services.transaction import writing
from taskmonitor.statements import Prepared

MANY = 5000  # hierarchies that are looked for at once
UPDATED = (  # what persisting a command anew writes
    *("command_type", "command_parameters", "command_params_class", "execution_reason", "status"),
    *("callback_enabled", "callback_notified", "executed", "return_value", "return_value_class"),
    *("user", "correlation_id", "job_id", "step_id"),
)

_CHILD_IDS = Prepared(
    lambda parent: (
        CommandEntity.objects.filter(parent_command_id=parent).order_by("position").values_list("pk")
    )
)


class Returned(TypedDict):
    """A result as a row has it."""

    return_value: str
    return_value_class: str


class ExecutionStatus(StrEnum):
    """Whether a command's `execute` ran to its end (oVirt: CommandExecutionStatus)."""

    EXECUTED = "EXECUTED"
    NOT_EXECUTED = "NOT_EXECUTED"
    UNKNOWN = "UNKNOWN"  # it is not stored


def create_command_entity(
    command_id: UUID, command_type: str, parameters: BaseModel, *, now: datetime
) -> CommandEntity:
    """A row that is not stored yet."""
    return CommandEntity(
        command_id=command_id,
        command_type=command_type,
        command_parameters=stored(parameters),
        command_params_class=type(parameters).__name__,
        created_at=now,
        status=CommandStatus.NOT_STARTED,
    )


def persist(
    command: Command[Any, Any],
    parent: Command[Any, Any] | None = None,
    *,
    enable_callback: bool | None = None,
    now: datetime,
) -> CommandEntity:
    """Store a command, with its result. Repeating it writes it anew.

    A `parent` that the workers look after waits for what is new beneath it: they carry it on from where its
    status says that it is, as if the parent had added it. Nothing executes any other. Conflict if a worker is
    at the parent, unless the parent's own code calls this, or if the parent's work is over.
    """
    entity = create_command_entity(command.command_id, command.name, command.parameters, now=now)
    entity.status, entity.executed = command.status, command.executed
    if command.result is not None:
        vars(entity).update(returned(command.result))
    entity.callback_enabled = command.handler is not Callback if enable_callback is None else enable_callback
    set_context(entity, command.context)
    if parent is None or get_command_entity(command.command_id) is not None:
        return save_or_update(entity)
    above = get_command_entity(parent.command_id)
    entity.parent_command_id = parent.command_id
    entity.root_command_id = above.top if above else parent.command_id
    with committing("persist", job_id=above.job_id if above else None, now=now) as work:
        if above is not None:
            _count_child(parent, above)
            if above.due_at is not None and entity.status not in OVER:
                _entrust(entity, command, above, work, now)
        entity.position = CommandEntity.objects.filter(parent_command_id=parent.command_id).count()
        return save_or_update(entity)


def _count_child(parent: Command[Any, Any], row: CommandEntity) -> None:
    """Have the parent know of one more child command, or raise Conflict."""
    if row.status in (*SETTLED, *OVER):
        raise Conflict(f"{row} is {row.status}, and can have no more child commands.")
    at_rest = CommandEntity.objects.filter(pk=row.pk, fence=row.fence, lease_until=None)
    if not parent.engine.adopt() and not at_rest.update(children=F("children") + 1):
        raise Conflict(f"A worker is at {row}; now only its own code can give it child commands.")


def _entrust(
    entity: CommandEntity,
    command: Command[Any, Any],
    above: CommandEntity,
    work: OwnWork | None,
    now: datetime,
) -> None:
    """Have the workers carry a new child command on, shown beneath its parent's step or the nearest above."""
    place = monitoring.show_child(command, monitoring.step_above(above), work)
    entity.job_id, entity.step_id, entity.due_at = place.job_id, place.step_id, now
    if entity.executed or entity.status in SETTLED:
        entity.lane = Lane.POLL
    if entity.status == CommandStatus.ACTIVE:
        entity.expires_at = now + command.lifetime
    elif entity.status in SETTLED:
        monitoring.settle(entity, work)
    nudge.send(Lane(entity.lane))


def returned(result: BaseModel) -> Returned:
    """What a row has of a result, by the names of its fields."""
    return {"return_value": stored(result), "return_value_class": type(result).__name__}


def set_context(entity: CommandEntity, context: Context) -> None:
    """Write a context into a row that is not stored yet."""
    entity.user_id = context.user_id
    entity.correlation_id = context.correlation_id
    entity.job_id, entity.step_id = context.job_id, context.step_id
    entity.execution_reason = context.execution_reason


def persist_command(entity: CommandEntity, context: Context | None = None) -> CommandEntity:
    """Store the row, and the context if one is given."""
    if context is not None:
        set_context(entity, context)
    return save_or_update(entity)


def save_or_update(entity: CommandEntity) -> CommandEntity:
    """Insert the row, or update the one with its id; `executed` and `callback_notified` stay true once they are.

    Of a row that there is, its place in the hierarchy and all that the workers keep in it are not touched: a
    command may be persisted while it runs.
    """
    with writing():
        stored = CommandEntity.objects.select_for_update().filter(pk=entity.pk).first()
        if stored is not None:
            entity.executed |= stored.executed
            entity.callback_notified |= stored.callback_notified
            entity.save(force_update=True, update_fields=UPDATED)
            entity.refresh_from_db()
        else:
            entity.save(force_insert=True)
    return entity


def get_command_entity(command_id: UUID) -> CommandEntity | None:
    """The row, if there is one."""
    return CommandEntity.objects.filter(pk=command_id).first()


def retrieve_command(command_id: UUID) -> Command[Any, Any] | None:
    """The command as it was stored; None if it is not, or cannot be rebuilt."""
    entity = get_command_entity(command_id)
    if entity is None:
        return None
    try:
        return rebuild(entity)
    except Unbuildable:
        return None


def get_command_status(command_id: UUID) -> CommandStatus:
    """Its status; UNKNOWN if it is not stored."""
    status = CommandEntity.objects.filter(pk=command_id).values_list("status", flat=True).first()
    return CommandStatus(status) if status else CommandStatus.UNKNOWN


def get_command_execution_status(command_id: UUID) -> ExecutionStatus:
    """Whether its `execute` ran to its end."""
    executed = CommandEntity.objects.filter(pk=command_id).values_list("executed", flat=True).first()
    if executed is None:
        return ExecutionStatus.UNKNOWN
    return ExecutionStatus.EXECUTED if executed else ExecutionStatus.NOT_EXECUTED


def get_child_command_ids(command_id: UUID) -> list[UUID]:
    """Its child commands, in their order."""
    return [key for (key,) in _CHILD_IDS.rows(command_id)]


def child_ids(row: CommandEntity) -> list[UUID]:
    """As `get_child_command_ids`, without a question if it has none."""
    return get_child_command_ids(row.pk) if row.children else []


def has_command_entities_with_root_command_id(root_command_id: UUID) -> bool:
    """Whether any command beneath that root is stored."""
    return CommandEntity.objects.filter(root_command_id=root_command_id).exists()


def get_commands_with_callback_enabled() -> list[CommandEntity]:
    """Exactly the rows of commands whose callback is enabled."""
    return list(CommandEntity.objects.filter(callback_enabled=True))


def update_command_status(command_id: UUID, status: CommandStatus) -> None:
    """Write the status, whatever it was; one that lives is looked at at once, and one that is over no more."""
    due: dict[str, Any] = {"due_at": Coalesce("due_at", Now())}
    if status in (*OVER, CommandStatus.HELD):
        due = {"due_at": None, "lease_until": None}
    CommandEntity.objects.filter(pk=command_id).update(status=status, **due)


def update_command_executed(command_id: UUID) -> None:
    """Take note that its `execute` ran to its end."""
    CommandEntity.objects.filter(pk=command_id).update(executed=True)


def update_callback_notified(command_id: UUID) -> None:
    """Take note that its callback was told of its end."""
    CommandEntity.objects.filter(pk=command_id).update(callback_notified=True)


def remove_command(command_id: UUID) -> None:
    """Remove one row."""
    CommandEntity.objects.filter(pk=command_id).delete()


def remove_all_commands_in_hierarchy(command_id: UUID) -> int:
    """Remove the command and all beneath it; how many those were."""
    with writing(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE hierarchy (command_id) AS (
                SELECT command_id FROM command_entities WHERE command_id = %s
                UNION SELECT child.command_id FROM command_entities child
                JOIN hierarchy ON child.parent_command_id = hierarchy.command_id
            )
            DELETE FROM command_entities WHERE command_id IN (SELECT command_id FROM hierarchy)
            RETURNING command_id
            """,
            [CommandEntity._meta.pk.get_db_prep_value(command_id, connection)],
        )
        return len(cursor.fetchall())


def remove_all_commands_before_date(cutoff: datetime, portions: Portions | None = None) -> list[UUID]:
    """Remove the hierarchies that ended before `cutoff`, whole; the topmost ids. Live ones stay, whatever their age.

    Only as many of them as there is time for, if `portions` says how much that is.
    """
    portions = portions or Portions(inf)
    removed: list[UUID] = []
    while not portions.over and (tops := commands_before_date(cutoff)):
        while tops and not portions.over:
            with portions.transaction():
                portion, left = tops[: portions.size], portions.size
                beneath = CommandEntity.objects.filter(root_command_id__in=portion)
                if whole := delete_first(beneath, left) < left:
                    CommandEntity.objects.filter(pk__in=portion).delete()
            if whole:
                removed += portion
                tops = tops[len(portion) :]
    return removed


def commands_before_date(cutoff: datetime) -> list[UUID]:
    """The topmost ids of the hierarchies of which all ended before `cutoff`, at most some thousand at a time.

    Those that may not be removed yet keep nobody from what stands behind them.
    """
    tops = CommandEntity.objects.filter(root_command_id=None, status__in=ENDED, ended_at__lt=cutoff)
    living = CommandEntity.objects.filter(root_command_id=OuterRef("pk")).exclude(
        status__in=ENDED, ended_at__lt=cutoff
    )
    found = tops.filter(~Exists(living)).order_by("ended_at")
    return list(found.values_list("pk", flat=True)[:MANY])
