"""The command that runs a program of this machine's, allow-listed by TASKMONITOR_PROGRAMS."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from coordinator.command import RUNNING, Answer, Command, Failed, Succeeded
from coordinator.commands import watcher
from coordinator.whoami import machine
from taskmonitor.errors import Conflict, Invalid

LONGEST = 30 * 86_400  # seconds
SHOWN = 1000  # letters of output that the monitor shows
Argument = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]
Variable = Annotated[str, Field(max_length=64, pattern=r"^TASK_[A-Z0-9_]+$")]
Value = Annotated[SecretStr, Field(max_length=4096)]


class Program(BaseModel):
    """Which program to run, and how.

    It gets none of the site's environment but PATH, HOME, LANG, LC_ALL and TZ; what is given beside must
    begin with TASK_, so that nothing changes how a program is loaded.
    """

    model_config = ConfigDict(extra="forbid")

    program: str = Field(description="Its name among those that the operator allows.")
    arguments: list[Argument] = Field(default=[], max_length=200)
    environment: dict[Variable, Value] = Field(default={}, max_length=50)
    seconds: float = Field(default=3600, gt=0, le=LONGEST, description="After which it is ended.")


class Output(BaseModel):
    """How it ended."""

    exit_code: int
    output: str  # the end of it


class RunProgram(Command[Program, Output]):
    """Run a program.

    It runs beside the workers and outlives them. Its exit code decides; the end of its output is the result.
    """

    resumable = True  # to start it again does not run it twice
    most_attempts = 100
    end_attempts = 10
    lifetime = timedelta(seconds=LONGEST + 3600)

    @property
    def description(self) -> str:
        return f"Run {self.parameters.program}"

    @property
    def folder(self) -> Path:
        return folder_of(self.command_id)

    def validate(self) -> None:
        if self.parameters.program not in settings.PROGRAMS:
            raise Invalid(
                "program", f"{self.parameters.program} is not one of {', '.join(settings.PROGRAMS)}."
            )
        if any("\x00" in value.get_secret_value() for value in self.parameters.environment.values()):
            raise Invalid("environment", "has a NUL in a value.")

    def execute(self) -> None:
        if not self._is_elsewhere():
            self._start()

    def _start(self) -> None:
        """Start it here, unless another worker has it meanwhile."""
        self.checkpoint(machine())
        given, program = self.parameters, settings.PROGRAMS[self.parameters.program]
        variables = {name: value.get_secret_value() for name, value in given.environment.items()}
        watcher.start(
            self.folder,
            [program, *given.arguments],
            environment=watcher.passed_on() | variables,
            seconds=given.seconds,
        )

    def poll(self) -> Answer:
        if self._is_elsewhere():
            return RUNNING  # a worker over there will see its end
        if not watcher.is_known(self.folder):
            self._start()  # the worker that was to do it died, and one elsewhere left it to this machine
        watched = watcher.is_watched(self.folder)  # asked first: it may end meanwhile
        ended = watcher.ended(self.folder)
        output = watcher.output(self.folder)
        if ended is not None or watcher.output_age(self.folder) < self.longest_poll + 1:
            self.progress(text=output[-SHOWN:])
        if ended is None:
            return RUNNING if watched else Failed("Its watcher was killed, and the program with it.")
        if ended.code == 0:
            return Succeeded(Output(exit_code=0, output=output))
        last = output.strip().rpartition("\n")[2][-200:]
        return Failed(f"{ended.why or last or 'It said nothing.'} (exit code {ended.code})")

    def end_successfully(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def end_with_failure(self) -> None:
        """Stop it, if it still runs: then this is called again until it does not."""
        if self._is_elsewhere():
            raise Conflict(f"It was begun on {self.saved}, and can be stopped there only.")
        if watcher.ended(self.folder) is None and watcher.is_watched(self.folder):
            watcher.stop(self.folder)
            raise Conflict("The program is still ending.")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_elsewhere(self) -> bool:
        return self.saved not in (None, machine()) and not self.folder.exists()


def stop(command_id: UUID) -> None:
    """Have the program of that command ended, which then fails. Does not wait for it."""
    watcher.stop(folder_of(command_id))


def folder_of(command_id: UUID) -> Path:
    """Where the watcher and the workers meet."""
    folder: Path = settings.DATA / "programs" / str(command_id)
    return folder
