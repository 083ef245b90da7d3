"""Our own commands, as somebody submits them who is not the site: plug-in commands of plugin.py."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskmonitor.settings")
django.setup()

from collections.abc import Iterator  # noqa: E402 - after setup
from contextlib import contextmanager  # noqa: E402
from datetime import timedelta  # noqa: E402
from typing import Any  # noqa: E402

from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.queues.plugin import Family, NoOp, Number, ShownFamily, ShownNoOp, Sleeper, Slow  # noqa: E402
from coordinator.engine.queue import claim  # noqa: E402
from coordinator.engine.sandbox import Sandbox  # noqa: E402
from coordinator.engine.worker import POLLS, work  # noqa: E402
from coordinator.executor import execute_async  # noqa: E402
from coordinator.models import CommandEntity, CommandStatus, Lane  # noqa: E402

KINDS = {"no_op": NoOp, "slow": Slow, "parent": Family}
MONITORED = {"no_op": ShownNoOp, "parent": ShownFamily}
EVERY = 10  # seconds between polls of a sleeper
PORTION = 5_000


def submit(kind: str, number: int) -> None:
    kinds = MONITORED if os.environ.get("BENCH_MONITORED") else KINDS
    execute_async(kinds[kind], Number(number=number), now=timezone.now())


def left() -> int:
    return CommandEntity.objects.filter(due_at__isnull=False).count()


def sleepers(number: int) -> None:
    """So many that are polled at their slowest pace, spread evenly over it; statements for each poll."""
    now = timezone.now()
    for first in range(0, number, PORTION):
        numbers = range(first, min(first + PORTION, number))
        CommandEntity.objects.bulk_create(_sleeper(each, number, now) for each in numbers)


def statements(number: int) -> float:
    """So many polls by hand: how many statements each takes, but for BEGIN and COMMIT."""
    sleepers(number)
    CommandEntity.objects.update(due_at=timezone.now())
    with _counted() as counted:
        while claims := claim(timezone.now(), worker="bench", limit=POLLS):
            work(claims, timezone.now, Sandbox())
    CommandEntity.objects.all().delete()
    return sum(counted) / number


def _sleeper(each: int, number: int, now: Any) -> CommandEntity:
    return CommandEntity(
        command_type=Sleeper.name,
        command_parameters=Number(number=each).model_dump_json(),
        command_params_class=Number.__name__,
        created_at=now,
        started_at=now,
        expires_at=now + timedelta(days=1),
        status=CommandStatus.ACTIVE,
        callback_enabled=True,
        executed=True,
        attempts=1,
        lane=Lane.POLL,
        poll_delay=EVERY,
        due_at=now + timedelta(seconds=EVERY * (1 + each / number)),
    )


@contextmanager
def _counted() -> Iterator[list[int]]:
    counted: list[int] = []

    def count(execute: Any, *arguments: Any) -> Any:
        counted.append(1)
        return execute(*arguments)

    with connection.execute_wrapper(count):
        yield counted
