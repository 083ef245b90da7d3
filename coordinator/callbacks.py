"""Who is told how a command gets on, and settles it. One for each kind of waiting."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from coordinator.command import RUNNING, Answer, Child, Command, Failed, Succeeded
from coordinator.models import BAD, OVER


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
        children = command.children()
        if not all(child.status in OVER for child in children):
            return RUNNING
        failed = [child for child in children if child.status in BAD]
        if failed and not command.ignore_child_failure:
            return self.child_failed(command, failed)
        return self.children_succeeded(command, len(children))

    def child_failed(self, command: Command[Any, Any], failed: list[Child]) -> Answer:
        return Failed(f"{len(failed)} of its child commands failed, first {failed[0].command_type}.")

    def children_succeeded(self, command: Command[Any, Any], completed: int) -> Answer:
        return Succeeded(command.result)


class SerialChildrenCallback(ChildrenCallback):
    """Starts one operation after the other (oVirt: SerialChildCommandsExecutionCallback).

    The number of operations begun is stored in one transaction with the child commands of the last, so
    that after a crash none is repeated and none left out.
    """

    def child_failed(self, command: Command[Any, Any], failed: list[Child]) -> Answer:
        command.handle_failure()
        return super().child_failed(command, failed)

    def children_succeeded(self, command: Command[Any, Any], completed: int) -> Answer:
        if command.perform_next_operation(completed):
            command.stage += 1
            return RUNNING
        return super().children_succeeded(command, completed)
