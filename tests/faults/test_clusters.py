"""F12: several clusters at once on one database."""

import pytest

from tests.faults.ground import ROUNDS, SEED, Ground, in_full
from tests.processes.eyes import eventually

pytestmark = in_full  # in short two clusters are in test_stops.py


@pytest.mark.parametrize("clusters", [2, 5])
def test_clusters_share_the_work_and_do_nothing_twice(ground: Ground, clusters: int) -> None:
    for _ in range(clusters):
        ground.up()
    for number in range(min(ROUNDS, 20) or 1):
        with ground.load(f"{SEED}/{number}", seconds=2, rate=40):
            pass
        ground.drain()
        ground.check()


def test_a_body_that_takes_its_process_down_harms_nobody_else(ground: Ground) -> None:
    """F13, as far as it concerns others."""
    ground.up()
    exiting = ground.submit("faults.Exiting")
    eventually(lambda: ground.did(exiting, "execute"))
    ground.tears += 1
    after = ground.submit("faults.Plain")
    ground.drain()
    assert ground.row(exiting)["status"] == "ENDED_WITH_FAILURE"
    assert ground.row(after)["status"] == "ENDED_SUCCESSFULLY"
    ground.check()
