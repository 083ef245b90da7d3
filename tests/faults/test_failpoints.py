"""F2: killed before and after each commit of the coordinator; what is seen then is the old state or the new one."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.backends.signals import connection_created

from coordinator import commits
from coordinator.engine import worker as engine_worker
from coordinator.testing import Worker
from tests.faults import sources
from tests.faults.checker import Faults, breaches, unscheduled
from tests.faults.evidence import Store
from tests.faults.ground import ROUNDS, SEED, Ground, in_full
from tests.faults.scenario import Scenario, in_fork

KILLED = 137


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Path:
    """Where effects and acknowledgements are; workers here are impatient, so that they come to all they do."""
    monkeypatch.setenv("FAULTS_EFFECTS", str(tmp_path / "effects"))
    monkeypatch.setenv("FAULTS_ACKS", str(tmp_path / "acks"))
    monkeypatch.setattr(engine_worker, "PROGRESS", 0)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_disk() -> Iterator[None]:
    """Nobody waits for the disk: what a process wrote before it was killed needs none."""
    pragma = {"sqlite": "PRAGMA synchronous = OFF", "postgresql": "SET synchronous_commit = off"}

    def without(connection: Any, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(pragma[connection.vendor])

    connection_created.connect(without)
    yield
    connection_created.disconnect(without)


@pytest.mark.mission("S93", "S117", "S123", "S124")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("commit", sources.commits())
def test_a_worker_may_be_killed_at_any_commit(commit: str, place: Path) -> None:
    """At the first, and with FAULTS_ROUNDS at each further time that the commit is made."""
    worker, deaths = Worker(), 0
    for time in range(1, (ROUNDS or 1) + 1):
        for failpoint in (f"before-{commit}", f"after-{commit}"):
            ended = in_fork(_dying_at(failpoint, time, Scenario(worker)))
            if time > 1 and ended == 0:
                return
            assert ended == KILLED, f"nothing comes to {failpoint}: let the scenario do it"
            assert unscheduled(_store().evidence(place / "effects", place / "acks")) == []
            deaths += 1
            worker.now += timedelta(minutes=1)
        Scenario(worker).end()
        evidence = _store().evidence(place / "effects", place / "acks")
        assert breaches(evidence, Faults(tears=deaths)) == []


# What workers and clusters commit under any load; the rest is for clients, operators and rare cases.
COMMON = ["begin", "checkpoint", "end", "execute", "poll", "polls", "progress", "renew", "settle", "wait"]


@in_full
@pytest.mark.parametrize("commit", COMMON)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cluster_that_is_killed_there_is_started_again(ground: Ground, when: str, commit: str) -> None:
    """As above, with all that is real: the supervisor starts the cluster anew, and that one carries on."""
    mark = ground.folder / "died"
    time = 1 if commit == "renew" else random.Random(f"{SEED}/{when}/{commit}").randint(1, 2)
    ground.environment["TASKMONITOR_FAILPOINT"] = f"{when}-{commit}:{time}:{mark}"
    ground.up()
    del ground.environment["TASKMONITOR_FAILPOINT"]
    ground.tears += 1
    with ground.load(f"{SEED}/{when}/{commit}", seconds=2, rate=30):
        pass
    ground.drain()
    ground.check()
    assert mark.exists()
    assert "worker ended with" in ground.log.lower()


def _dying_at(failpoint: str, time: int, scenario: Scenario) -> Callable[[], None]:
    def run() -> None:
        commits._failpoint, commits._left = failpoint, time
        scenario.begin()
        scenario.end()

    return run


def _store() -> Store:
    """The tests' own database, read like any other."""
    named = connection.settings_dict
    if connection.vendor == "sqlite":
        return Store(str(named["NAME"]))
    return Store(
        f"postgresql://{named['USER']}:{named['PASSWORD']}@{named['HOST']}:{named['PORT']}/{named['NAME']}"
    )
