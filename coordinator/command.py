"""What an author of a command subclasses, and says in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from coordinator.models import CommandStatus, ExecutionReason
from taskmonitor.models import Right
from taskmonitor.services.text import legible

if TYPE_CHECKING:
    from coordinator.callbacks import Callback


class Empty(BaseModel):
    """No parameters, or no result."""

    model_config = ConfigDict(extra="forbid")


P = TypeVar("P", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)


class Running:
    """What a poll answers while the work goes on."""


RUNNING = Running()


@dataclass(frozen=True, slots=True)
class Succeeded:
    """What a poll answers when the work went well."""

    result: BaseModel | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """What a poll answers when the work went wrong."""

    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", legible(self.reason))  # it may quote anything


@dataclass(frozen=True, slots=True)
class WaitFor:
    """What a poll or `execute` answers if there is no use in polling before that event, or before `timeout`."""

    event: str
    timeout: timedelta = timedelta(minutes=300)  # oVirt: CoCoWaitForEventInMinutes


Answer = Running | Succeeded | Failed | WaitFor


@dataclass(frozen=True, slots=True)
class Context:
    """On whose behalf a command runs and where it is shown; kept with it, and inherited by its children.

    Without `job_id` a monitored command gets a job of its own. With it, and perhaps `step_id`, it is shown
    there, and never ends that job.
    """

    user_id: int | None = None
    correlation_id: str = ""
    job_id: UUID | None = None
    step_id: UUID | None = None
    execution_reason: ExecutionReason = ExecutionReason.REGULAR_FLOW


@dataclass(frozen=True)
class Child:
    """What a parent may know of a child command; parameters and result are read when they are asked for."""

    command_id: UUID
    command_type: str
    status: CommandStatus
    read: Callable[[UUID], Command[Any, Any] | None] = field(repr=False, compare=False)

    @property
    def parameters(self) -> BaseModel | None:
        """None if it cannot be rebuilt."""
        return None if self._command is None else self._command.parameters

    @property
    def result(self) -> BaseModel | None:
        """None if it has none yet, or cannot be rebuilt."""
        return None if self._command is None else self._command.result

    @cached_property
    def _command(self) -> Command[Any, Any] | None:
        return self.read(self.command_id)


@dataclass(frozen=True, slots=True)
class Tally:
    """How a parent's child commands stand."""

    removed: int = 0  # that it had, and that are stored no more
    live: int = 0
    failed: int = 0
    succeeded: int = 0


class Engine:
    """What a command can ask of whoever runs it; a command that nobody runs can ask nothing."""

    def checkpoint(self, data: Any) -> None:
        raise RuntimeError("Only a running command can do that.")

    def progress(self, **fields: Any) -> None:
        raise RuntimeError("Only a running command can do that.")

    def children(self) -> Sequence[Child]:
        raise RuntimeError("Only a running command can do that.")

    def tally(self) -> Tally:
        """How the child commands stand; without one none do."""
        return Tally()

    def adopt(self) -> bool:
        """Count a child command that is stored beside `add_child`; False if nobody runs the command."""
        return False


class Command(Generic[P, R]):
    """One durable piece of work. Its docstring's first line describes it; its class attributes say how it runs.

    Parameters are stored before anything is done, and each state after it was reached; between any two
    lines the process may die, and another one goes on from what was stored. So a poll and an end method
    may run twice and must be safe to repeat; `execute` is begun once, unless `resumable`.
    """

    name: ClassVar[str]  # in the registry
    parameters_class: ClassVar[type[BaseModel]] = Empty
    result_class: ClassVar[type[BaseModel]] = Empty
    callback: ClassVar[type[Callback] | None] = (
        None  # who is told how it gets on; if None, who fits what it has
    )
    handler: ClassVar[type[Callback]]  # that one
    ignore_child_failure: ClassVar[bool] = False  # it can succeed though a child command failed
    monitored: ClassVar[bool] = True  # shown as a job or step
    right: ClassVar[Right] = Right.CONTROL  # what a user must have to run it
    resumable: bool = False  # `execute` can go on from its checkpoint after it was cut off; one may differ
    most_attempts: ClassVar[int] = 5  # times that `execute` is begun, if it is resumable
    end_attempts: ClassVar[int] = 1  # times that a failing end method is tried
    time_limit: ClassVar[timedelta] = timedelta(minutes=5)  # of one call of `execute`, a poll, an end method
    lifetime: timedelta = timedelta(minutes=3000)  # an active one fails after it (oVirt: CoCoLifeInMinutes)
    longest_poll: ClassVar[int] = 10  # seconds between polls (oVirt: AsyncCommandPollingRateInSeconds)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):  # its own, not those of a command above it
            if isinstance(get_origin(base), type) and issubclass(get_origin(base), Command):
                for name, value in zip(("parameters_class", "result_class"), get_args(base), strict=False):
                    if isinstance(value, type):
                        setattr(cls, name, value)

    def __init__(self, command_id: UUID, parameters: P, context: Context) -> None:
        self.command_id = command_id
        self.parameters = parameters
        self.context = context
        self.status: CommandStatus = CommandStatus.NOT_STARTED
        self.executed = False
        self.result: R | None = None
        self.saved: Any = None  # the last checkpoint
        self.stage = 0  # serial operations begun
        self.engine = Engine()
        self.planned: list[tuple[type[Command[Any, Any]], BaseModel]] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Command) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self.command_id)

    def _identity(self) -> tuple[Any, ...]:
        return (type(self), self.command_id, self.parameters, self.context, self.status, self.result)

    # What an author writes

    @property
    def description(self) -> str:
        """What the monitor shows."""
        return (type(self).__doc__ or self.name).strip().partition("\n")[0]

    def validate(self) -> None:
        """Raise errors.Invalid, naming the parameter, if this cannot be done; called before anything is stored."""

    def execute(self) -> R | WaitFor | None:
        """Do the work, or start it. What it returns is the result, unless a poll settles it later."""
        return None

    def poll(self) -> Answer:
        """How the work goes on elsewhere; called again and again until it is settled. Must be safe to repeat."""
        return RUNNING

    def on_event(self, data: Any) -> Answer:
        """What `poll` would say, now that the event waited for has come with `data`."""
        return self.poll()

    def perform_next_operation(self, completed: int) -> bool:
        """Start the next of several serial operations (`add_child`); False if there is none.

        After one that adds no child command the next comes at the pace of polls.
        """
        return False

    def handle_failure(self) -> None:
        """A serial operation failed, and no further one is started."""

    def end_successfully(self) -> None:
        """What is left to do after the work went well. Must be safe to repeat."""

    def end_with_failure(self) -> None:
        """What is left to do after the work went wrong. Must be safe to repeat."""

    # What an author calls

    def checkpoint(self, data: Any) -> None:
        """Store, before going on, from where `execute` can go on if it is cut off; any JSON, read as `self.saved`."""
        self.engine.checkpoint(data)
        self.saved = data

    def progress(
        self, *, current: int | None = None, end: int | None = None, text: str | None = None
    ) -> None:
        """Show how far it is, in units of its own."""
        self.engine.progress(current=current, end=end, text=None if text is None else legible(text))

    def add_child(self, command: type[Command[Any, Any]], parameters: BaseModel) -> None:
        """Have a child command run. It is stored in one transaction with what the present call leads to."""
        self.planned.append((command, parameters.model_copy(deep=True)))

    def children(self) -> Sequence[Child]:
        """The child commands stored so far, in their order."""
        return self.engine.children()
