"""The timer by which a cluster's sentinel knows whether a worker's task takes too long."""

import os
import signal
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from time import monotonic

from coordinator.engine.cluster import Timer

fork = get_context("fork")


def stored(timer: Timer, seconds: float) -> BaseProcess:
    """The worker, ended, that set the timer to that."""
    worker = fork.Process(target=setattr, args=(timer, "value", seconds))
    worker.start()
    worker.join()
    return worker


def test_a_worker_killed_while_it_sets_its_timer_holds_nobody_up() -> None:
    timer, (told, tell) = Timer(), os.pipe()

    def set_for_ever() -> None:
        with timer.get_lock():
            os.write(tell, b"!")
            signal.pause()

    worker = fork.Process(target=set_for_ever)
    worker.start()
    os.read(told, 1)
    worker.kill()
    worker.join()
    begun = monotonic()
    with timer.get_lock():
        assert timer.value == -1
    assert monotonic() - begun < 5


def test_time_passes_by_itself_until_it_is_up() -> None:
    timer = Timer()
    stored(timer, 0.05)
    deadline = monotonic() + 60
    while seconds := timer.value:
        assert 0 < seconds <= 0.05
        assert monotonic() < deadline
    assert timer.value == 0


def test_only_the_worker_writes() -> None:
    timer = Timer()
    stored(timer, 300)
    timer.value -= 200  # django-q2's sentinel does that at each look, with a second
    assert timer.value > 200
    stored(timer, -1)
    timer.value -= 300
    assert timer.value == -1
    stored(timer, -2)
    assert int(timer.value) == -2
