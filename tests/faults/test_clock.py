"""F10: the machine's clock is set, forward and backward, while commands run."""

from pathlib import Path

import pytest

from tests.faults.ground import ROUNDS, SEED, Ground, in_full
from tests.processes.eyes import eventually

HOUR, DAY = 3600, 86_400
STEPS = [-HOUR, HOUR, -DAY, DAY]
pytestmark = in_full  # tests/coordinator/test_clock.py tells the same in short


class Clock:
    """What the processes of a ground take the time from."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self.set_by(0)

    def set_by(self, seconds: int) -> None:
        self._offset += seconds
        new = self._path.with_suffix(".new")
        new.write_text(str(self._offset))
        new.replace(self._path)


@pytest.fixture
def clock(ground: Ground) -> Clock:
    (ground.folder / "sitecustomize.py").write_text("import tests.faults.stepped\n")
    ground.environment["FAULTS_CLOCK"] = str(ground.folder / "clock")
    return Clock(ground.folder / "clock")


def test_a_clock_that_is_set_stops_and_tears_nothing(ground: Ground, clock: Clock) -> None:
    """Two clusters, so that a living worker's lease could seem to another to have lapsed."""
    ground.up()
    ground.up()
    for number in range(min(ROUNDS, 10)):
        for step in STEPS:
            with ground.load(f"{SEED}/{number}/{step}", seconds=2):
                long = ground.submit("faults.Plain", seconds=2)
                eventually(lambda long=long: ground.did(long, "execute"))
                clock.set_by(step)
            ground.drain()
            ground.check(clock_set=True)


def test_a_start_after_the_clock_was_set_back_waits_for_nothing(ground: Ground, clock: Clock) -> None:
    ground.up()
    polled = ground.submit("faults.Polled", times=2)
    eventually(lambda: ground.did(polled, "poll"))
    ground.stop()
    clock.set_by(-DAY)
    ground.up()
    ground.drain()
    ground.check(clock_set=True)
