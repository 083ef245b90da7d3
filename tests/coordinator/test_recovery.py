"""What dead workers held."""

import os
import subprocess
from datetime import timedelta

from coordinator.engine.queue import claim
from coordinator.models import CommandEntity
from coordinator.recovery import release_what_the_dead_held, release_what_waits_for_the_clock
from coordinator.whoami import machine, runs, worker_name
from tests.coordinator.commands import Plain, Polled, Waiting
from tests.coordinator.conftest import Engine


def test_a_process_is_known_by_when_it_began() -> None:
    name = worker_name(os.getpid())
    assert runs(name)
    where, pid, began = name.rsplit("/", 2)
    assert not runs(f"{where}/{pid}/{int(began) + 1}")
    assert runs(f"elsewhere/{pid}/1")  # for all that is known here


def test_what_the_dead_held_is_due_at_once_and_what_the_living_hold_is_not(engine: Engine) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        dead = worker_name(process.pid)
        process.kill()
    for worker in (dead, worker_name(os.getpid()), "elsewhere/1/1"):
        engine.submit(Plain)
        claim(engine.now, worker=worker, limit=1)
    assert release_what_the_dead_held(engine.now) == 1
    free = CommandEntity.objects.get(lease_until=None)
    assert (free.worker, free.due_at, free.fence) == ("", engine.now, 2)
    assert release_what_the_dead_held(engine.now) == 0


def test_a_machine_has_a_name() -> None:
    assert machine().count("/") == 2


def test_what_waits_for_a_clock_that_was_set_back_is_due_at_once(engine: Engine) -> None:
    polled, waiting = engine.submit(Polled, times=9), engine.submit(Waiting)
    engine.turn()
    due = engine.row(waiting).due_at
    assert release_what_waits_for_the_clock(engine.now) == 0
    engine.now -= timedelta(hours=1)
    assert release_what_waits_for_the_clock(engine.now) == 1
    assert engine.row(polled).due_at == engine.now
    assert engine.row(waiting).due_at == due
    engine.now += timedelta(hours=1)
    engine.deliver(waiting, "news")
    engine.now -= timedelta(hours=1)
    assert release_what_waits_for_the_clock(engine.now) == 1
    assert engine.row(waiting).due_at == engine.now
