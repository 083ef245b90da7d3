"""W2: lists of 50 among a thousand and a million jobs, by each filter, and deep in the list."""

import asyncio
import time
from urllib.parse import quote

from bench.client import Connection
from bench.numbers import cursor_at
from bench.plan import Plan
from bench.report import LIMIT, OURS, Figures, Row, Table, medians, percentiles
from bench.servers import Server

TABLE = Table(
    case="W2",
    title="W2 a list of 50 among n jobs",
    columns={"p50": "p50 ms", "p99": "p99 ms", "cpu": "CPU ms", "growth": "of the smallest"},
    key="p50",
)
SEARCHES = {
    "status": "status = aborted",
    "owner": "owner = owner-07",
    "entity": "entity = vm-042",
    "correlation id": "correlation_id = bench-{middle}",
    "text, rare": "omega",
    "text, common": "disk",
    "text, absent": "zanzibar",
}


def run(plan: Plan) -> list[Row]:
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> list[Row]:
    rows: list[Row] = []
    for kind in plan.kinds:
        rows += await _of_kind(plan.with_(kinds=(kind,)))
    return rows


async def _of_kind(plan: Plan) -> list[Row]:
    rounds: dict[tuple[str, str, int], list[Figures]] = {}
    with plan.servers("w2", OURS, LIMIT, sizes=plan.sizes) as servers:
        for _ in range(plan.rounds):
            for server in servers:
                jobs = server.database.jobs
                for name, path in paths(server.kind, jobs).items():
                    figures = await read(server, path, plan.reads)
                    rounds.setdefault((name, server.kind, jobs), []).append(figures)
    found = {key: medians(each) for key, each in rounds.items()}
    smallest = min(plan.sizes)
    return [
        Row(
            "W2",
            plan.kinds[0],
            f"{name}, {jobs:,}",
            target,
            {**figures, "growth": figures["p50"] / first["p50"]},
        )
        for (name, target, jobs), figures in sorted(found.items())
        for first in [found[name, target, smallest]]
    ]


def paths(target: str, jobs: int) -> dict[str, str]:
    """The address of each list. The floor knows its statements by name."""
    middle = jobs // 2
    if target == LIMIT:
        statements = {"newest": "newest", "status": "status", "owner": "owner", "entity": "entity"}
        statements |= {"correlation id": f"correlation&bench-{middle}", "deep": f"deep&{middle}"}
        return {name: f"/api/jobs?{statement}" for name, statement in statements.items()}
    searches = {name: search.format(middle=middle) for name, search in SEARCHES.items()}
    return {
        "newest": "/api/jobs?max=50",
        **{name: f"/api/jobs?max=50&search={quote(search)}" for name, search in searches.items()},
        "deep": f"/api/jobs?max=50&after={cursor_at(middle)}",
        "page, newest": "/jobs/",
        "page, text": "/jobs/?text=omega",
    }


async def read(server: Server, path: str, times: int) -> Figures:
    """Read the list so often over one connection, after once to warm up."""
    credentials = server.credentials("session" if path.startswith("/jobs/") else "bearer")
    connection = await Connection.open(server.port, *credentials)
    await connection.get(path)
    seconds = []
    cpu = server.cpu()
    for _ in range(times):
        begun = time.perf_counter()
        answer = await connection.get(path)
        seconds.append(time.perf_counter() - begun)
        assert answer.status == 200, (path, answer)
    cpu = server.cpu() - cpu
    connection.close()
    return percentiles(seconds) | {"cpu": cpu / times * 1000}
