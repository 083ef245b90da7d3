"""The one place where an author's code runs: bounded, and such that nothing it does wrong gets further.

It may raise what it likes, take too long, leave a transaction open, or be called off from outside. What
interrupts it never interrupts our own code: that is shielded, and the interruption waits for its end.
"""

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from coordinator.command import Answer, Command, Failed, Succeeded
from coordinator.engine.queue import Superseded
from coordinator.engine.slots import Slot
from coordinator.models import CommandEntity
from coordinator.rebuild import parsed
from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.errors import TaskMonitorError
from taskmonitor.services import transaction
from taskmonitor.services.text import legible

GRACE = 5.0  # seconds that a call may still take after it was interrupted, until its process is killed


class TookTooLong(BaseException):
    """One call took longer than the command's time_limit. No Exception, which a command that tries again would catch."""


class DatabaseTrouble(Exception):
    """A command's code failed because the database was away or overloaded, so the command itself is not to blame."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command's method answered, and the trace of what it raised instead."""

    answer: Answer | None
    trace: str = ""


class Sandbox:
    """Runs the methods of commands in this process, one at a time; `slot` is where the watch sees them."""

    def __init__(self, slot: Slot | None = None) -> None:
        self._slot = slot
        self.is_left_alone = False  # whether others got what else was claimed with the present command
        self._ends_at = 0.0  # monotonic; 0: no call
        self._shields = 0
        self._pending: BaseException | None = None

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Within it calls can be interrupted; only a process's main thread can be."""
        if current_thread() is not main_thread():
            yield
            return
        before = {each: signal.signal(each, self._on_signal) for each in (signal.SIGALRM, signal.SIGUSR1)}
        outer, transaction.shield = transaction.shield, self._shielded
        try:
            yield
        finally:
            transaction.shield = outer
            for each, handler in before.items():
                signal.signal(each, handler)

    def said(self, row: CommandEntity, command: Command[Any, Any], method: Callable[[], object]) -> Said:
        """What the command's own code answers. Whatever it raises is Failed, with its trace.

        DatabaseTrouble if it failed because the database could not work; Superseded if the command is
        somebody else's by now.
        """
        try:
            with self._called(row, command.time_limit):
                answer = method()
            return Said(_checked(command, answer))
        except Superseded:
            raise
        except TaskMonitorError as error:
            return Said(_with_lost(command, str(error)))
        except BaseException as error:  # SystemExit, too, fails the command alone
            if is_database_trouble(error):
                raise DatabaseTrouble(str(error).strip()) from error
            return Said(_with_lost(command, named(error)), legible(traceback.format_exc()[-50_000:]))
        finally:
            self._ends_at = 0.0

    @contextmanager
    def _shielded(self) -> Iterator[None]:
        """Around a transaction of our own: an interruption that comes within it is raised at its end."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self._raise_pending()

    @contextmanager
    def _called(self, row: CommandEntity, limit: timedelta) -> Iterator[None]:
        interruptible = current_thread() is main_thread()
        with self._in_slot(row, limit), _transactions_ended():
            try:
                self._pending, self._ends_at = None, monotonic() + limit.total_seconds()
                if interruptible:
                    signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
                yield
            finally:
                self._ends_at = 0.0
                if interruptible:
                    signal.setitimer(signal.ITIMER_REAL, 0)

    @contextmanager
    def _in_slot(self, row: CommandEntity, limit: timedelta) -> Iterator[None]:
        if self._slot is None:
            yield
            return
        number = self._slot.begin((row.pk, row.fence), limit.total_seconds())
        try:
            yield
        finally:
            self.is_left_alone |= self._slot.end(number)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._ends_at:
            return
        self._pending = Superseded() if number == signal.SIGUSR1 else TookTooLong(TOO_LONG)
        if not self._shields:
            self._raise_pending()

    def _raise_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None and self._ends_at:
            raise pending


TOO_LONG = "It took longer than its time_limit."


@contextmanager
def _transactions_ended() -> Iterator[None]:
    """Roll back transactions that the code within left open, and drop the connection if its state is not certain.

    An interruption may come anywhere, also between the end of a transaction and Django's knowing of it; then
    nothing that follows on this connection would ever be committed.
    """
    database = connections[DEFAULT_DB_ALIAS]
    outer = len(database.atomic_blocks)  # only tests have any
    try:
        yield
    except Exception:
        if len(database.atomic_blocks) != outer:
            _give_up(outer)
        raise
    except BaseException:
        _give_up(outer)
        raise
    else:
        if len(database.atomic_blocks) > outer or not (outer or database.get_autocommit()):
            _give_up(outer)


def _give_up(outer: int) -> None:
    """Forget the connection, and what Django knows of it; within a test's own transaction only what is left open."""
    database = connections[DEFAULT_DB_ALIAS]
    if outer:
        while len(database.atomic_blocks) > outer:
            database.atomic_blocks[-1].__exit__(Superseded, Superseded(), None)
        return
    raw = database.connection
    del connections[DEFAULT_DB_ALIAS]
    if raw is not None:
        raw.close()


def _with_lost(command: Command[Any, Any], reason: str) -> Failed:
    """What a raised error comes to. What the command planned in the same call is undone with it, and said to be."""
    lost = len(command.planned)
    command.planned.clear()
    more = f" {lost} child commands that it had added were not stored." if lost else ""
    return Failed(f"{reason[:10_000]}{more}")


def _checked(command: Command[Any, Any], answer: object) -> Answer | None:
    """The answer, if it is one, and if what comes with it can be stored and rebuilt; else TypeError or Invalid."""
    if answer is not None and not isinstance(answer, Answer):
        raise TypeError(f"{answer!r} is no answer to a poll.")
    if isinstance(answer, Succeeded) and answer.result is not None:
        command.result = answer.result
    if command.result is not None:
        command.result = parsed("result", command.result_class, command.result)
    command.planned = [
        (kind, parsed(kind.__name__, kind.parameters_class, parameters))
        for kind, parameters in command.planned
    ]
    return answer


def named(error: BaseException) -> str:
    """The error's class and what it says, if it can."""
    try:
        says = f": {error}" if str(error) else ""
    except BaseException:  # noqa: BLE001 - it is a command's own
        says = ""
    return f"{type(error).__name__}{says}"
