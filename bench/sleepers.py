"""W5: commands that are active and polled each 10 s: what that takes, and how late the polls are."""

import time
from itertools import pairwise

from bench.plan import Plan
from bench.queues.effects import KEPT, read_polls
from bench.report import LIMIT, OURS, Figures, Row, Table
from bench.systems import BASE, Running, Systems

EVERY = 10.0  # seconds between polls of a command
TABLE = Table(
    case="W5",
    title="W5 commands polled each 10 s",
    columns={
        **{"cpu": "CPU % of a core", "each": "CPU us a poll", "done": "polls done %"},
        **{"p50": "gap p50 s", "p99": "gap p99 s", "statements": "statements a poll"},
    },
    key="cpu",
    floors=(LIMIT,),
)
COUNTED = 1_000  # polls whose statements are counted


def run(plan: Plan) -> list[Row]:
    systems = Systems(plan, BASE)
    rows = []
    for kind in plan.kinds:
        for number in plan.sleepers:
            for system in systems.on(kind):
                with systems.running(system, kind, BENCH_SLEEPERS="1") as running:
                    figures = measure(running, number, plan.watched)
                    rows.append(Row("W5", kind, f"{number:,}", system.name, figures))
    systems.drop()
    return rows


def measure(running: Running, number: int, seconds: float) -> Figures:
    """Watch so many for so long, once each was polled for the first time."""
    counted = running.drive("statements", COUNTED) if running.system.name == OURS else {}
    running.start()
    running.drive("sleepers", number)
    time.sleep(EVERY * 2)
    cpu, begun, since = running.cpu(), time.time(), time.monotonic()
    time.sleep(seconds)
    cpu, ended, took = running.cpu() - cpu, time.time(), time.monotonic() - since
    time.sleep(KEPT * 10)
    polls = [(which, time_) for which, time_ in read_polls(running.effects) if time_ < ended]
    done = sum(time_ >= begun for _, time_ in polls)
    return (
        counted
        | _gaps(polls, begun)
        | {
            "cpu": cpu / took * 100,
            "each": cpu / max(done, 1) * 1_000_000,
            "done": done / (number * took / EVERY) * 100,
        }
    )


def _gaps(polls: list[tuple[int, float]], begun: float) -> Figures:
    """Seconds between polls of one command, of those that ended in the watched time."""
    times: dict[int, list[float]] = {}
    for which, time_ in sorted(polls):
        times.setdefault(which, []).append(time_)
    gaps = sorted(
        later - earlier for each in times.values() for earlier, later in pairwise(each) if later >= begun
    )
    return {f"p{n}": gaps[len(gaps) * n // 100] for n in (50, 99)} if gaps else {}
