"""The plug-in package whose commands the bench runs on our own site; found by its entry point."""

from pydantic import BaseModel

from bench.queues import effects
from coordinator.command import RUNNING, Answer, Command, Empty
from coordinator.registry import register


class Number(BaseModel):
    number: int


@register("bench.NoOp", monitored=False)
class NoOp(Command[Number, Empty]):
    """Do nothing."""

    def execute(self) -> None:
        effects.no_op(self.parameters.number)


@register("bench.ShownNoOp", monitored=True)
class ShownNoOp(NoOp):
    """Do nothing, and be shown at it."""


@register("bench.Slow", monitored=False, resumable=True)
class Slow(Command[Number, Empty]):
    """Take a moment; may be repeated."""

    def execute(self) -> None:
        effects.slow(self.parameters.number)


@register("bench.Family", monitored=False)
class Family(Command[Number, Empty]):
    """Have three children."""

    child = NoOp

    def execute(self) -> None:
        effects.no_op(self.parameters.number)
        for _ in range(3):
            self.add_child(self.child, self.parameters)


@register("bench.ShownFamily", monitored=True)
class ShownFamily(Family):
    """Have three children, and be shown at it."""

    child = ShownNoOp


@register("bench.Sleeper", monitored=False)
class Sleeper(Command[Number, Empty]):
    """Be polled for ever."""

    def poll(self) -> Answer:
        effects.poll(self.parameters.number)
        return RUNNING
