"""W4: durable commands - a burst of no-ops, parents with three children, and some paced on an idle system."""

from bench import processes
from bench.plan import Plan
from bench.report import LIMIT, Figures, Row, Table, medians
from bench.systems import BASE, DJANGO_Q2, PEERS, SHOWN, Running, System, Systems, left_out

TABLE = Table(
    case="W4",
    title="W4 commands: a burst, 3 children each, 20 a second",
    columns={
        **{"rate": "commands/s", "submit": "submitted/s", "cpu": "CPU ms each", "submit_cpu": "of it submit"},
        **{"tree": "in families/s", "p50": "start p50 ms", "p99": "start p99 ms", "pss": "PSS MB"},
    },
    key="rate",
    floors=(LIMIT, DJANGO_Q2),
)
WARM = 10  # commands that start a system


def run(plan: Plan) -> list[Row]:
    systems = Systems(plan, (*BASE, SHOWN, *(PEERS if plan.peers else ())))
    rounds: dict[tuple[str, System], list[Figures]] = {}
    for _ in range(plan.rounds):
        for kind in plan.kinds:
            for system in systems.on(kind):
                with left_out(system), systems.running(system, kind) as running:
                    rounds.setdefault((kind, system), []).append(measure(running.start(), plan))
    systems.drop()
    return [
        Row("W4", kind, "", system.name, medians(each))
        for (kind, system), each in sorted(rounds.items(), key=lambda item: item[0][0])
    ]


def measure(running: Running, plan: Plan) -> Figures:
    """One round; `cpu` is that of the client, the workers and the database or Redis."""
    running.drive("warm", WARM)
    cpu = running.cpu()
    burst = running.drive("burst", plan.commands)
    cpu = running.cpu() - cpu + burst["cpu"]
    tree = running.drive("tree", plan.commands // 4)
    paced = running.drive("pace", plan.paced)
    return paced | {
        "rate": plan.commands / burst["all"],
        "submit": plan.commands / burst["submit"],
        "cpu": cpu / plan.commands * 1000,
        "submit_cpu": burst["cpu"] / plan.commands * 1000,
        "tree": plan.commands // 4 * 4 / tree["all"],
        "pss": processes.memory(running.pids()).pss,
    }
