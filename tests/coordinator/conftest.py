"""A worker that a test drives by hand, with a clock that it sets."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coordinator.broker import claim
from coordinator.command import Command, Context
from coordinator.execution import work
from coordinator.executor import Handle, execute_async
from coordinator.models import CommandEntity
from tests.coordinator.commands import LOG, Polled


@dataclass
class Engine:
    """Submits commands, and does what the workers do."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 3, tzinfo=UTC))

    def submit(
        self, kind: type[Command[Any, Any]], context: Context | None = None, **parameters: Any
    ) -> Handle:
        return execute_async(kind, parameters, context, now=self.now)

    def turn(self, seconds: float = 0) -> int:
        """One pass, some time later, of a worker over all that is due; how many commands were."""
        self.now += timedelta(seconds=seconds)
        claims = claim(self.now, worker="test", limit=1000)
        work(claims, lambda: self.now)
        return len(claims)

    def run(self) -> None:
        """Passes, each when the next command is due, until none is."""
        while due := CommandEntity.objects.filter(due_at__isnull=False).order_by("due_at").first():
            assert due.due_at
            self.now = max(self.now, due.due_at)
            self.turn()

    def row(self, handle: Handle) -> CommandEntity:
        return CommandEntity.objects.get(pk=handle.command_id)


@pytest.fixture
def engine(db: None) -> Engine:
    LOG.clear()
    Polled.polls = 0
    return Engine()
