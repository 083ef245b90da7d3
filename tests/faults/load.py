"""A client: submits commands of all shapes at a steady rate, and takes note of what it was told.

It is a process of its own (ground.py starts it). What it was told are lines of the file that FAULTS_ACKS
names, each written before anything else is done: a command's id ("submitted"), that its event was taken
("delivered"), and each state that it saw of a command ("seen").
"""

import os
import random
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

from django.db import Error, connections
from django.utils import timezone

from coordinator.executor import deliver, execute_async
from coordinator.models import ENDED, CommandEntity
from taskmonitor.errors import Conflict
from tests.faults.commands import leave

NAMES = "Plain Quiet Ending Telling Polled Family Series Early Resumable Waiting"
SHAPES = [f"faults.{name}" for name in NAMES.split()]
MANY = {"faults.Family", "faults.Series", "faults.Early", "faults.Resumable"}  # whose `times` is never 0
SEEN = ("status", "executed", "callback_notified")


class Client:
    """Submits and looks; goes on when the database is away."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._acks = os.environ["FAULTS_ACKS"]
        self._seen: dict[
            Any, tuple[Any, ...]
        ] = {}  # what was last seen of each command that may still change
        self._news: list[Any] = []  # the commands that wait for an event

    def run(self, seconds: float, rate: float) -> None:
        """Submit for so long, then look until nothing of it is left to be told."""
        begun = time.monotonic()
        shapes = self._shapes()
        for number in count():
            due = begun + number / rate
            if due > begun + seconds:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            name, parameters = next(shapes)
            self._try(lambda name=name, parameters=parameters: self._submit(name, parameters))
            if number % 5 == 0:
                self._try(self._deliver)
                self._try(self._look)
        while self._news:
            self._try(self._deliver)
            time.sleep(0.1)
        self._try(self._look)

    def _shapes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        while True:
            for name in self._random.sample(SHAPES, len(SHAPES)):
                yield name, self._parameters(name)

    def _parameters(self, name: str) -> dict[str, Any]:
        chance = self._random.random
        seconds = chance() * 0.1 if chance() < 0.5 else 0
        times = self._random.randint(2, 3) if name in MANY else self._random.randint(0, 1)
        return {"seconds": seconds, "fails": chance() < 0.2, "times": times}

    def _submit(self, name: str, parameters: dict[str, Any]) -> None:
        handle = execute_async(name, parameters, now=timezone.now())
        self._told("submitted", handle.command_id, type=name)
        self._seen[handle.command_id] = ()
        if name == "faults.Waiting":
            self._news.append(handle.command_id)

    def _deliver(self) -> None:
        while self._news:
            command_id = self._news[0]
            try:
                deliver(command_id, "news", now=timezone.now())
                self._told("delivered", command_id)
            except Conflict:  # it was taken before, and that was not told; or it was cut off, and failed
                pass
            self._news.pop(0)

    def _look(self) -> None:
        rows = CommandEntity.objects.filter(pk__in=list(self._seen)[:500])
        for command_id, *state in rows.values_list("pk", *SEEN):
            if self._seen[command_id] != tuple(state):
                self._told("seen", command_id, **dict(zip(SEEN, state, strict=True)))
                self._seen[command_id] = tuple(state)
            if state[0] in ENDED:
                del self._seen[command_id]

    def _try(self, act: Any) -> None:
        """Do it; whoever asks a database that is away is told nothing."""
        try:
            act()
        except Error:
            connections.close_all()
            time.sleep(0.1)

    def _told(self, what: str, command_id: Any, **more: Any) -> None:
        leave(self._acks, {"told": what, "id": command_id.hex, **more})


def main(seed: str, seconds: float, rate: float) -> None:
    """Be that client."""
    Client(seed).run(seconds, rate)
