"""W6: from the start of the processes to the first answer; what they take when nobody asks for anything."""

import asyncio
import time

from bench import processes
from bench.client import Connection
from bench.databases import Database
from bench.plan import Plan
from bench.report import DJANGO, LIMIT, OURS, Figures, Row, Table, medians
from bench.servers import Server

SETTLE = 10  # seconds after a start until it counts as idle
PATHS = {OURS: "/api", DJANGO: "/api/jobs", LIMIT: "/api/jobs"}
TABLE = Table(
    case="W6",
    title="W6 cold start and rest",
    columns={
        **{"first": "first 200 s", "fresh": "on a fresh database s", "start_cpu": "CPU s"},
        **{"pss": "PSS MB", "rss": "RSS MB", "cpu": "idle CPU %"},
    },
    key="first",
)


def run(plan: Plan) -> list[Row]:
    rows = []
    for kind in plan.kinds:
        prepared = {name: Database.create(kind, f"w6_{name}", plan.folder).prepare() for name in PATHS}
        starts: dict[str, list[Figures]] = {name: [] for name in PATHS}
        for _ in range(plan.rounds):
            for name, database in prepared.items():
                starts[name].append(_start(name, database, PATHS[name]))
        fresh = [
            _start(OURS, Database.create(kind, "w6_fresh", plan.folder), "/login/")
            for _ in range(plan.rounds)
        ]
        for name, database in prepared.items():
            more = {"fresh": medians(fresh)["first"]} if name == OURS else {}
            figures = medians(starts[name]) | more | _rest(name, database, plan)
            rows.append(Row("W6", kind, "", name, figures))
            database.drop()
    return rows


def _start(name: str, database: Database, path: str) -> Figures:
    """Seconds from the start of the processes to the first 200."""
    begun = time.perf_counter()
    server = Server.start(name, database)
    asyncio.run(_first_answer(server, path))
    figures = {"first": time.perf_counter() - begun, "start_cpu": server.cpu()}
    server.stop()
    return figures


async def _first_answer(server: Server, path: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.process.poll() is None:
        try:
            connection = await Connection.open(server.port, *server.credentials())
            answer = await connection.get(path)
        except OSError:
            await asyncio.sleep(0.005)
            continue
        assert answer.status == 200, answer
        return
    raise SystemExit(f"{server.kind} gave no answer:\n{server.log()}")


def _rest(name: str, database: Database, plan: Plan) -> Figures:
    """What a server at rest takes, after one request."""
    server = Server.start(name, database)
    asyncio.run(_first_answer(server, PATHS[name]))
    time.sleep(min(SETTLE, plan.idle))
    cpu, memory = server.cpu(), processes.memory(server.pids())
    time.sleep(plan.idle)
    figures = {"cpu": (server.cpu() - cpu) / plan.idle * 100, "pss": memory.pss, "rss": memory.rss}
    server.stop()
    return figures
