"""W7: from a change by REST to its event on 50 open pages."""

import asyncio
import random
import re
import time

from bench.client import Connection
from bench.inject import JOB
from bench.plan import Plan
from bench.report import OURS, Figures, Row, Table, percentiles
from bench.servers import Server

OPEN = 50
PACE = 0.1  # seconds between changes, on average
TABLE = Table(
    case="W7",
    title=f"W7 a change by REST on {OPEN} open streams",
    columns={
        "p50": "p50 ms",
        "p95": "p95 ms",
        "p99": "p99 ms",
        "missed": "missed",
        "cpu": "CPU ms per change",
    },
    key="p95",
)
_JOB = re.compile(rb'"job": "([^"]{36})"')


class Stream(asyncio.Protocol):
    """One open page: when it heard of which job first."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.heard: dict[str, float] = {}
        self.begun = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if b"event: open" in data:
            self.begun.set()
        for job in _JOB.findall(data):
            self.heard.setdefault(job.decode(), now)


def run(plan: Plan) -> list[Row]:
    with plan.servers("w7", OURS) as servers:
        return [
            Row("W7", server.database.kind, "", OURS, asyncio.run(_watch(server, plan.changes)))
            for server in servers
        ]


async def _watch(server: Server, changes: int) -> Figures:
    loop = asyncio.get_running_loop()
    head = "".join(f"{header}\r\n" for header in ("Host: 127.0.0.1", *server.credentials("session")))
    request = f"GET /stream/ HTTP/1.1\r\n{head}\r\n".encode()
    streams = []
    for _ in range(OPEN):
        _, stream = await loop.create_connection(lambda: Stream(request), "127.0.0.1", server.port)
        streams.append(stream)
    await asyncio.wait_for(asyncio.gather(*(stream.begun.wait() for stream in streams)), 30)
    sent, cpu = {}, server.cpu()
    connection = await Connection.open(server.port, *server.credentials())
    for _ in range(changes):
        await asyncio.sleep(random.uniform(0, 2 * PACE))
        begun = time.perf_counter()
        sent[(await connection.post("/api/jobs", JOB)).id] = begun
    await asyncio.sleep(2)
    cpu = server.cpu() - cpu
    late = [
        stream.heard[job] - begun for stream in streams for job, begun in sent.items() if job in stream.heard
    ]
    for one in [*streams, connection]:
        one.transport.close()
    missed = changes * OPEN - len(late)
    return percentiles(late) | {"missed": missed, "cpu": cpu / changes * 1000}
