"""Who is told how a command gets on, and settles it. One for each kind of waiting."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from coordinator.command import RUNNING, Answer, Command, Failed, Succeeded, Tally
from coordinator.models import BAD


class Callback:
    """Does nothing at all; a command that has no other is settled by the end of its `execute`."""

    def executed(self, command: Command[Any, Any], result: Any) -> None:
        """`execute` ended and returned `result`; called once, unless its process dies within."""

    def do_polling(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> Answer | None:
        """Look how the work goes on, at 1, 2, 4, 8, 10 s or so after the last look, and settle the command or not."""
        return None

    def on_event(self, command: Command[Any, Any], child_ids: Sequence[UUID], data: Any) -> Answer | None:
        """The event that the command waits for came."""
        return command.on_event(data)

    def on_succeeded(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> None:
        """The command SUCCEEDED and its children are over."""

    def on_failed(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> None:
        """The command FAILED and its children are over."""


class PollingCallback(Callback):
    """Polls work that goes on elsewhere, and runs the command's end method in the end (S121)."""

    def do_polling(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> Answer | None:
        return command.poll()

    def on_succeeded(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> None:
        command.end_successfully()

    def on_failed(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> None:
        command.end_with_failure()


class ChildrenCallback(PollingCallback):
    """Waits for child commands that run side by side, each to its own end (oVirt: ConcurrentChildCommandsExecutionCallback).

    All are awaited, even after one has failed.
    """

    def do_polling(self, command: Command[Any, Any], child_ids: Sequence[UUID]) -> Answer | None:
        tally = command.engine.tally()
        if tally.live:
            return RUNNING
        if tally.removed:
            return Failed(
                f"{tally.removed} of its child commands were removed, so nobody knows how they ended."
            )
        if tally.failed and not command.ignore_child_failure:
            return self.child_failed(command, tally)
        return self.children_succeeded(command, tally.succeeded + tally.failed)

    def child_failed(self, command: Command[Any, Any], tally: Tally) -> Answer:
        first = next(child for child in command.children() if child.status in BAD)
        return Failed(f"{tally.failed} of its child commands failed, first {first.command_type}.")

    def children_succeeded(self, command: Command[Any, Any], completed: int) -> Answer:
        return Succeeded(command.result)


class SerialChildrenCallback(ChildrenCallback):
    """Starts one operation after the other (oVirt: SerialChildCommandsExecutionCallback).

    The number of operations begun is stored in one transaction with the child commands of the last, so
    that after a crash none is repeated and none left out.
    """

    def child_failed(self, command: Command[Any, Any], tally: Tally) -> Answer:
        command.handle_failure()
        return super().child_failed(command, tally)

    def children_succeeded(self, command: Command[Any, Any], completed: int) -> Answer:
        if command.perform_next_operation(max(completed, command.stage)):
            command.stage += 1
            return RUNNING
        return super().children_succeeded(command, completed)
