"""Commands that leave a trace of all they do, as a plug-in package brings them.

What a body does is an effect: a line of the file that FAULTS_EFFECTS names, written by one write to its
end, so that of processes that write and die at once each line is there whole or not at all.
"""

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.db import OperationalError
from pydantic import BaseModel

from coordinator import repository
from coordinator.callbacks import PollingCallback
from coordinator.command import RUNNING, Answer, Command, Failed, Succeeded, WaitFor
from coordinator.registry import register


class Work(BaseModel):
    """How a command behaves."""

    seconds: float = 0  # that each of its bodies takes
    fails: bool = False
    times: int = 0  # polls, parts, children or failing ends


class Proof(BaseModel):
    """A result that says whose it is."""

    of: str


class Traced(Command[Work, Proof]):
    """Do something that leaves a trace."""

    longest_poll = 1

    def effect(self, what: str) -> None:
        line = {"id": self.command_id.hex, "what": what, "type": self.name, "attempt": self.row.attempts}
        leave(os.environ["FAULTS_EFFECTS"], line)

    @property
    def row(self) -> Any:
        """Its row, as the worker that runs it knows it."""
        return self.engine.row  # type: ignore[attr-defined]

    @property
    def proof(self) -> Proof:
        return Proof(of=self.command_id.hex)

    def execute(self) -> Any:
        self.effect("execute")
        time.sleep(self.parameters.seconds)
        if self.parameters.fails:
            raise RuntimeError("it was to fail")
        self.effect("executed")
        return self.proof


def leave(path: str, line: dict[str, Any]) -> None:
    """Write one line to the end of a file, at once and whole."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{json.dumps(line)}\n".encode())
    os.close(file)


class Ended(Traced):
    """Leave a trace of its end, too; its first `times` ends fail."""

    end_attempts = 2

    def end_successfully(self) -> None:
        self.effect("end_successfully")
        if self.row.end_attempts < self.parameters.times:
            raise RuntimeError("its end was to fail")
        self.effect("ended_successfully")

    def end_with_failure(self) -> None:
        self.effect("end_with_failure")
        self.effect("ended_with_failure")


class Parented(Ended):
    """Its `times` is a number of other things than failing ends."""

    def end_successfully(self) -> None:
        self.effect("end_successfully")
        self.effect("ended_successfully")


@register("faults.Plain")
class Plain(Traced):
    """Do one thing."""


@register("faults.Quiet", monitored=False)
class Quiet(Traced):
    """Do one thing that nobody is shown."""


@register("faults.Ending")
class Ending(Ended):
    """Do one thing, and another in the end."""


@register("faults.Telling")
class Telling(Traced):
    """Do one thing, and say how far it is."""

    def execute(self) -> Any:
        self.effect("execute")
        for half in (1, 2):
            time.sleep(self.parameters.seconds / 2)
            self.progress(current=half, end=2)
        self.effect("executed")
        return self.proof


@register("faults.Polled")
class Polled(Parented):
    """Be polled until a poll says that it is over."""

    def execute(self) -> Any:
        self.effect("execute")
        self.effect("executed")

    def poll(self) -> Answer:
        self.effect("poll")
        if self.row.polls < self.parameters.times:
            return RUNNING
        return Failed("it was to fail") if self.parameters.fails else Succeeded(self.proof)


@register("faults.Family")
class Family(Parented):
    """Have children side by side, the last one failing as asked."""

    def execute(self) -> Any:
        self.effect("execute")
        for number in range(self.parameters.times):
            fails = self.parameters.fails and number == self.parameters.times - 1
            self.add_child(Plain, Work(seconds=self.parameters.seconds, fails=fails))
        self.effect("executed")
        return self.proof


@register("faults.Adopting")
class Adopting(Parented):
    """Persist its children, one by one."""

    def execute(self) -> Any:
        self.effect("execute")
        for _ in range(self.parameters.times):
            now = self.engine.clock()  # type: ignore[attr-defined]
            repository.persist(Plain(uuid4(), Work(), self.context), parent=self, now=now)
        self.effect("executed")
        return self.proof


@register("faults.Series")
class Series(Parented):
    """Have children one after the other, the second failing as asked."""

    def execute(self) -> Any:
        self.effect("execute")
        self.effect("executed")
        return self.proof

    def perform_next_operation(self, completed: int) -> bool:
        if completed == self.parameters.times:
            return False
        self.add_child(
            Polled if completed % 2 else Plain,
            Work(seconds=self.parameters.seconds, fails=self.parameters.fails and completed == 1),
        )
        return True


@register("faults.Early", callback=PollingCallback)
class Early(Parented):
    """Be settled by a poll while its children still run."""

    def execute(self) -> Any:
        self.effect("execute")
        for _ in range(self.parameters.times):
            self.add_child(Polled, Work(times=2))
        self.effect("executed")

    def poll(self) -> Answer:
        return Succeeded(self.proof)


@register("faults.Troubled")
class Troubled(Polled):
    """Find the database in trouble at its first poll."""

    def poll(self) -> Answer:
        trouble = Path(f"{os.environ['FAULTS_EFFECTS']}.{self.command_id.hex}")
        if not trouble.exists():
            trouble.touch()
            raise OperationalError("the database is away")
        return super().poll()


@register("faults.Afterwards")
class Afterwards(Parented):
    """Have a child in the end."""

    def end_successfully(self) -> None:
        super().end_successfully()
        self.add_child(Plain, Work())


@register("faults.Resumable", resumable=True, most_attempts=1000)
class Resumable(Traced):
    """Do `times` things, each kept when it is done."""

    def execute(self) -> Any:
        for part in range(self.saved or 0, self.parameters.times):
            self.effect(f"part{part}")
            time.sleep(self.parameters.seconds)
            self.checkpoint(part + 1)
            self.effect(f"kept{part}")
        self.effect("executed")
        return self.proof


@register("faults.Waiting")
class Waiting(Parented):
    """Wait for an event."""

    def execute(self) -> Any:
        self.effect("execute")
        self.effect("executed")
        return WaitFor("news", timeout=timedelta(hours=5))

    def on_event(self, data: Any) -> Answer:
        self.effect(f"event {data}")
        return Succeeded(self.proof)


@register("faults.Exiting")
class Exiting(Traced):
    """Take its whole process down."""

    def execute(self) -> Any:
        self.effect("execute")
        os._exit(3)


if "FAULTS_CLIENT" in os.environ:

    @register("faults.Vanished")
    class Vanished(Traced):
        """Be unknown to the workers."""
