"""W3: a job with 1 010 nested steps, built by 1 011 requests, then read by one."""

import asyncio
import time

from bench.client import Connection
from bench.inject import JOB, step
from bench.plan import Plan
from bench.report import DJANGO, LIMIT, OURS, Figures, Row, Table, medians, percentiles
from bench.servers import Server

BRANCHES, UNDER_EACH, CHAIN = 10, 100, 10
TABLE = Table(
    case="W3",
    title="W3 a job with 1 010 nested steps",
    columns={
        "p50": "read p50 ms",
        "p99": "p99 ms",
        "cpu": "CPU ms",
        "build": "build s",
        "build_cpu": "build CPU s",
    },
    key="p50",
)


def run(plan: Plan) -> list[Row]:
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> list[Row]:
    with plan.servers("w3", OURS, DJANGO, LIMIT) as servers:
        built = {server.port: await build(server) for server in servers}
        rounds: dict[int, list[Figures]] = {server.port: [] for server in servers}
        for _ in range(plan.rounds):
            for server in servers:
                rounds[server.port].append(await read(server, built[server.port][0], plan.reads))
        return [
            Row(
                "W3",
                server.database.kind,
                "",
                server.kind,
                medians(rounds[server.port]) | built[server.port][1],
            )
            for server in servers
        ]


async def build(server: Server) -> tuple[str, Figures]:
    """The path of the job's steps, and what it took to make them one by one."""
    connection = await Connection.open(server.port, *server.credentials())
    await connection.post("/api/jobs", JOB)
    cpu, begun = server.cpu(), time.perf_counter()
    path = f"/api/jobs/{(await connection.post('/api/jobs', JOB)).id}/steps"
    for _ in range(BRANCHES):
        top = (await connection.post(path, step(None))).id
        parent = top
        for place in range(UNDER_EACH):
            parent = (await connection.post(path, step(parent if place % CHAIN else top))).id
    figures = {"build": time.perf_counter() - begun, "build_cpu": server.cpu() - cpu}
    connection.close()
    return path, figures


async def read(server: Server, path: str, times: int) -> Figures:
    """Read the tree so often over one connection."""
    connection = await Connection.open(server.port, *server.credentials())
    seconds = []
    cpu = server.cpu()
    for _ in range(times):
        begun = time.perf_counter()
        answer = await connection.get(path)
        seconds.append(time.perf_counter() - begun)
        assert answer.status == 200, answer
        assert answer.body.count(b"</step>") == BRANCHES * (UNDER_EACH + 1), answer.body[:500]
    cpu = server.cpu() - cpu
    connection.close()
    return percentiles(seconds) | {"cpu": cpu / times * 1000}
