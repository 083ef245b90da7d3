"""F1: kill -9 of any process, at any time, under load."""

import random
import time

import pytest

from tests.faults.ground import ROUNDS, SEED, Ground

VICTIMS = ("worker", "pusher", "monitor", "cluster", "everything")


@pytest.mark.mission("S93", "S117", "S123", "S124")
def test_whatever_is_killed_whenever_nothing_is_lost_or_done_twice(ground: Ground) -> None:
    """Each round: a client's load, kills at random times in it, and all that was promised once it is over."""
    print(f"FAULTS_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    ground.up()
    chance = random.Random(SEED)
    ended: list[float] = []
    for number in range(ROUNDS or 2):
        victims = (
            chance.choices(VICTIMS, k=chance.randint(1, 2))
            if ROUNDS
            else VICTIMS[number * 2 : number * 2 + 3]
        )
        with ground.load(f"{SEED}/{number}", seconds=2):
            for victim in victims:
                time.sleep(chance.random())
                ground.kill(victim)
            killed = time.monotonic()
        ground.drain()
        ended.append(time.monotonic() - killed)
        ground.check()
    ended.sort()
    told = f"{ground.store.count('1 = 1')} commands, {ground.tears} kills"
    print(f"{told}; over after {ended[len(ended) // 2]:.1f} s, at most {ended[-1]:.1f} s")  # noqa: T201
