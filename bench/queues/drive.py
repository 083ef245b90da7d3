"""python -m bench.queues.drive SYSTEM ACTION [NUMBER]: one action on one system; its figures as JSON.

A system is a module here with `prepare`, `work` (runs the workers until killed), `submit(kind, number)` for
the kinds no_op, slow and parent (which has three no_op children), and `left`: how many commands its own
durable state says have not ended. `limit` and `ours` have `sleepers(number)` too: so many that are polled.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from statistics import quantiles
from typing import Any

from bench.queues import effects

PACE = 0.05  # seconds between commands on an idle system
LOOK = 0.02  # seconds between looks whether all have ended
PATIENCE = 300.0  # seconds until no more is expected of a system
Figures = dict[str, float]


def warm(queue: Any, number: int) -> Figures:
    """A few commands, so that the workers have started."""
    for each in range(number):
        queue.submit("no_op", 10_000_000 + each)
    drain(queue)
    return {}


def burst(queue: Any, number: int) -> Figures:
    return _timed(queue, "no_op", number)


def tree(queue: Any, number: int) -> Figures:
    return _timed(queue, "parent", number)


def pace(queue: Any, number: int) -> Figures:
    """From just before a submission to the first line of the command's effect."""
    submitted = {}
    for each in range(20_000_000, 20_000_000 + number):
        time.sleep(PACE)
        submitted[each] = time.time()
        queue.submit("no_op", each)
    drain(queue)
    begun = {which: time_ for what, which, time_ in effects.read(effects.folder()) if what == "begun"}
    cuts = quantiles([(begun[which] - time_) * 1000 for which, time_ in submitted.items()], n=100)
    return {"p50": cuts[49], "p99": cuts[98]}


def slow(queue: Any, number: int) -> Figures:
    """Submit, and wait for nothing."""
    for each in range(number):
        queue.submit("slow", each)
    return {}


def drain(queue: Any, seconds: float = PATIENCE) -> Figures:
    """Wait until all commands have ended, or for so long."""
    until = time.monotonic() + seconds
    while (left := queue.left()) and time.monotonic() < until:
        time.sleep(LOOK)
    return {"left": left}


def sleepers(queue: Any, number: int) -> Figures:
    queue.sleepers(number)
    return {}


def statements(queue: Any, number: int) -> Figures:
    """How many statements a poll takes."""
    return {"statements": queue.statements(number)}


def prepare(queue: Any) -> Figures:
    queue.prepare()
    return {}


def work(queue: Any) -> Figures:
    queue.work()
    return {}


def _timed(queue: Any, kind: str, number: int) -> Figures:
    begun, cpu = time.perf_counter(), time.process_time()
    for each in range(number):
        queue.submit(kind, each)
    submitted, submit_cpu = time.perf_counter() - begun, time.process_time() - cpu
    if left := drain(queue)["left"]:
        raise SystemExit(f"{left} of {number} have not ended")
    return {"submit": submitted, "all": time.perf_counter() - begun, "cpu": submit_cpu}


ACTIONS: list[Callable[..., Figures]] = [
    prepare,
    work,
    warm,
    burst,
    tree,
    pace,
    slow,
    drain,
    sleepers,
    statements,
]

if __name__ == "__main__":
    system, action, *numbers = sys.argv[1:]
    found = {each.__name__: each for each in ACTIONS}[action](
        import_module(f"bench.queues.{system}"), *map(int, numbers)
    )
    print(json.dumps(found))
