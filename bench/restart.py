"""W4R: kill -9 of all workers with a thousand commands in flight, and a restart at once."""

import time
from collections import Counter

from bench.commands import WARM
from bench.plan import Plan
from bench.queues.effects import SLOW, read
from bench.report import Figures, Row, Table, medians
from bench.systems import BASE, PEERS, Running, System, Systems, left_out

TABLE = Table(
    case="W4R",
    title="W4R kill -9 with commands of 20 ms in flight, and a restart",
    columns={
        **{"flight": "in flight", "torn": "torn", "never": "never done", "twice": "done twice"},
        **{
            "first": "first start s",
            "all": "all done s",
            "more": "more than the work s",
            "left": "not ended",
        },
    },
    key="all",
    floors=(),
)
PATIENCE = 75  # seconds that a system has for all


def run(plan: Plan) -> list[Row]:
    systems = Systems(plan, (*BASE, *(PEERS if plan.peers else ())))
    rounds: dict[tuple[str, System], list[Figures]] = {}
    for _ in range(plan.rounds):
        for kind in plan.kinds:
            for system in systems.on(kind):
                with left_out(system), systems.running(system, kind) as running:
                    rounds.setdefault((kind, system), []).append(measure(running.start(), plan.commands // 5))
    systems.drop()
    return [
        Row("W4R", kind, "", system.name, medians(each))
        for (kind, system), each in sorted(rounds.items(), key=lambda item: item[0][0])
    ]


def measure(running: Running, number: int) -> Figures:
    """Kill the workers when all are submitted; the figures are those of the bodies' own log."""
    running.drive("warm", WARM)
    running.drive("slow", number)
    running.kill()
    killed = time.time()
    running.start()
    left = running.drive("drain", PATIENCE)["left"]
    lines = [line for line in read(running.effects) if line[1] < number]
    before = Counter((what, which) for what, which, time_ in lines if time_ < killed)
    begun, ended = ({which for was, which in before if was == what} for what in ("begun", "ended"))
    times = Counter(which for what, which, _ in lines if what == "ended")
    after = [time_ - killed for what, _, time_ in lines if time_ >= killed and what == "begun"]
    last = max((time_ - killed for what, _, time_ in lines if what == "ended"), default=0.0)
    return {
        "flight": number - len(ended),
        "torn": len(begun - ended),
        "never": number - len(times),
        "twice": sum(count > 1 for count in times.values()),
        "first": min(after, default=float(PATIENCE)),
        "all": last if len(times) == number else float(PATIENCE),
        "more": last - (number - len(ended)) * SLOW,
        "left": left,
    }
