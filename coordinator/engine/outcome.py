"""What one act of a worker led to: all that is then committed, and nothing besides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Literal, TypedDict

from pydantic import BaseModel

from coordinator.command import Command
from coordinator.models import CommandEntity, CommandStatus, Lane

Planned = tuple[type[Command[Any, Any]], BaseModel]


class Hold(Enum):
    """The worker goes on holding the command, and goes on with it at once."""

    HOLD = "hold"


HOLD = Hold.HOLD


class Columns(TypedDict, total=False):
    """What of a command's row an act may write beside its status."""

    attempts: int
    callback_notified: bool
    checkpoint: Any
    end_attempts: int
    ended_at: datetime
    error: str
    event: None
    executed: bool
    expires_at: datetime | None
    held_from: str
    lane: Lane
    poll_delay: int
    polls: int
    return_value: str
    return_value_class: str
    stage: int
    started_at: datetime | None
    trace: str
    waits_for: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One commit.

    `name`: of the failpoints before and after it. `due`: when to look again; None: never; HOLD: go on now.
    `children`: to be stored behind those that there are. `progress`: what the command's step is to show.
    `then`: the act that follows at once, if it is known.
    """

    name: str
    due: datetime | Literal[Hold.HOLD] | None
    status: CommandStatus | None = None
    columns: Columns = field(default_factory=Columns)
    children: tuple[Planned, ...] = ()
    progress: dict[str, Any] = field(default_factory=dict)
    then: "Act | None" = None


@dataclass(frozen=True, slots=True)
class PolledAgain:
    """Nothing has changed; poll it again after so many seconds. Many of these are committed together."""

    seconds: int


@dataclass(slots=True)
class Facts:
    """What an act may know of a command."""

    row: CommandEntity
    command: Command[Any, Any]
    live_children: bool
    clock: Callable[[], datetime]

    @property
    def now(self) -> datetime:
        return self.clock()


Act = Callable[[Facts], Outcome | PolledAgain]
