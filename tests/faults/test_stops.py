"""F3: workers that are asked to end, and workers that are stopped for longer than their lease and then woken."""

import os
import random
import signal
import time

import pytest

from tests.faults.ground import ROUNDS, SEED, Ground, in_full
from tests.processes.eyes import descendants, eventually

LEASE = 4  # seconds; a shorter one lapses of itself where the machine is busy


def test_who_is_asked_to_end_tears_nothing(ground: Ground) -> None:
    """SIGTERM to two clusters at a random time under load; exit 0 within 10 s, and the next start carries on."""
    chance = random.Random(SEED)
    for number in range(min(ROUNDS, 50) or 1):
        ground.up()
        ground.up()
        with ground.load(f"{SEED}/{number}", seconds=2):
            time.sleep(chance.random() * 2)
            ground.stop()
            ground.up()
        ground.drain()
        ground.check()
        ground.stop()


@pytest.mark.mission("S124")
def test_who_is_woken_after_its_lease_commits_nothing(ground: Ground) -> None:
    ground.environment["TASKMONITOR_LEASE_SECONDS"] = str(LEASE)
    for _ in range(min(ROUNDS, 20) or 1):
        stopped = ground.up()
        torn = ground.submit("faults.Resumable", seconds=1, times=2)
        eventually(lambda torn=torn: ground.did(torn, "part0"))
        signalled(stopped.pid, signal.SIGSTOP)
        ground.tears += 1
        ground.up()
        ground.drain()
        ended = ground.row(torn)
        assert (ended["status"], ended["attempts"]) == ("ENDED_SUCCESSFULLY", 2)
        signalled(stopped.pid, signal.SIGCONT)
        time.sleep(2)
        assert ground.row(torn) == ended
        assert ground.did(torn, "kept0") == 1
        ground.check()
        ground.stop()


@in_full
def test_workers_stopped_at_random_are_replaced(ground: Ground) -> None:
    """Under load, for longer than their lease; what they had begun counts as cut off, and nothing is done twice."""
    ground.environment["TASKMONITOR_LEASE_SECONDS"] = str(LEASE)
    chance = random.Random(SEED)
    for number in range(min(ROUNDS, 20)):
        stopped = ground.up()
        ground.up()
        with ground.load(f"{SEED}/{number}", seconds=6, rate=10):
            time.sleep(chance.random())
            signalled(stopped.pid, signal.SIGSTOP)
            ground.tears += 1
            time.sleep(LEASE + 1)
            signalled(stopped.pid, signal.SIGCONT)
        ground.drain()
        ground.check()
        ground.stop()


def signalled(site: int, number: signal.Signals) -> None:
    """Send the signal to all processes of the site's cluster."""
    for pid in descendants(site):
        os.kill(pid, number)
