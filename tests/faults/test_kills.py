"""F1: kill -9 of any process, at any time, under load."""

import random
import time

import pytest

from tests.faults.ground import NAMES, ROUNDS, SEED, Ground
from tests.processes.eyes import eventually

VICTIMS = (*sorted(NAMES), "ordinary", "monitor", "children", "cluster", "everything")


@pytest.mark.mission("S93", "S117", "S123", "S124")
def test_whatever_is_killed_whenever_nothing_is_lost_or_done_twice(ground: Ground) -> None:
    """Each round: a client's load, kills at random times in it, and all that was promised once it is over."""
    print(f"FAULTS_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    chance = random.Random(SEED)
    ended: list[float] = []
    for number in range(ROUNDS or 1):
        ground.up()
        victims = chance.choices(VICTIMS, k=chance.randint(1, 3)) if ROUNDS else chance.sample(VICTIMS, 3)
        with ground.load(f"{SEED}/{number}", seconds=2):
            for victim in victims:
                time.sleep(chance.random())
                ground.kill(victim)
            killed = time.monotonic()
        ground.drain()
        ended.append(time.monotonic() - killed)
        ground.check()
        ground.stop()
        report(ground, ended)


def report(ground: Ground, ended: list[float]) -> None:
    """What was seen so far; pytest shows it with -s."""
    commands, torn = (ground.store.count(where) for where in ("1 = 1", "error LIKE 'A restart cut it off%'"))
    middle, last = sorted(ended)[len(ended) // 2], max(ended)
    told = f"{commands} commands, {ground.tears} kills, {torn} cut off, 0 breaches"
    print(f"round {len(ended)}: {told}; over {middle:.1f} s after the last kill, at most {last:.1f}")  # noqa: T201


@pytest.mark.mission("S93")
def test_the_first_start_after_a_kill_carries_on_at_once(ground: Ground) -> None:
    """It does not wait for leases: those of the dead are released by whoever starts on their machine."""
    ground.environment["TASKMONITOR_LEASE_SECONDS"] = "60"
    waits = []
    for _ in range(min(ROUNDS, 20) or 1):
        ground.up()
        command = ground.submit("faults.Resumable", seconds=2, times=2)
        eventually(lambda command=command: ground.did(command, "part0"))
        ground.kill("everything")
        begun = time.monotonic()
        eventually(lambda command=command: ground.attempted(command) == 2)
        waits.append(time.monotonic() - begun)
        ground.drain()
        ground.check()
        ground.stop()
    print(f"carried on {max(waits):.2f} s after the cluster's processes ran")  # noqa: T201
    # A lease lasts 60 s; `make test` is never alone.
    assert sorted(waits)[len(waits) // 2] < (1 if ROUNDS else 30)
