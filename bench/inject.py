"""W1: lifecycles of 12 requests (a job, five nested steps, their ends, the job's end) by 1, 8 and 32 clients."""

import asyncio
import time
from dataclasses import dataclass, field

from bench import processes
from bench.client import Answer, Connection
from bench.plan import Plan
from bench.report import DJANGO, LIMIT, OURS, Figures, Row, Table, medians, percentiles
from bench.servers import Server

JOB = b"<job><description>Clone web-01 to web-02</description><auto_cleared>true</auto_cleared></job>"
END = b"<action><status>FINISHED</status></action>"
TABLE = Table(
    case="W1",
    title="W1 lifecycles of 12 requests",
    columns={
        **{
            "rate": "lifecycles/s",
            "p50": "p50 ms",
            "p99": "p99 ms",
            "cpu": "CPU ms each",
            "database_cpu": "of it database",
        },
        **{"pss": "PSS MB", "rss": "RSS MB", "errors": "errors"},
    },
    key="rate",
)


@dataclass
class Round:
    """What one round of some seconds showed."""

    lifecycles: int = 0
    errors: int = 0
    seconds: float = 0.0
    cpu: float = 0.0  # seconds, of the server and the database's backends
    database_cpu: float = 0.0
    times: list[float] = field(default_factory=list)  # seconds of each request
    memory: processes.Memory = field(default_factory=lambda: processes.Memory(0, 0))

    def figures(self) -> Figures:
        done = max(self.lifecycles, 1)
        return percentiles(self.times) | {
            "rate": self.lifecycles / self.seconds,
            "cpu": self.cpu / done * 1000,
            "database_cpu": self.database_cpu / done * 1000,
            "pss": self.memory.pss,
            "rss": self.memory.rss,
            "errors": self.errors,
        }


def run(plan: Plan) -> list[Row]:
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> list[Row]:
    rounds: dict[tuple[str, int, str], list[Figures]] = {}
    with plan.servers("w1", OURS, DJANGO, LIMIT) as servers:
        for _ in range(plan.rounds):
            for clients in plan.clients:
                for server in servers:
                    for way in ("basic", "bearer") if server.kind == OURS else ("",):
                        key = server.database.kind, clients, f"{server.kind} {way}".strip()
                        done = await measure(server, way, clients=clients, seconds=plan.seconds)
                        rounds.setdefault(key, []).append(done.figures())
    return [
        Row("W1", kind, f"{clients} clients", target, medians(each))
        for (kind, clients, target), each in sorted(
            rounds.items(), key=lambda item: (*item[0][:2], item[0][2] == LIMIT)
        )
    ]


def step(parent: str | None) -> bytes:
    under = f'<parent_step id="{parent}"/>' if parent else ""
    return f"<step><description>Copy disk</description><type>EXECUTING</type>{under}</step>".encode()


class Client:
    """Runs lifecycles one after the other until told otherwise."""

    def __init__(self, connection: Connection, round_: Round) -> None:
        self.connection = connection
        self.round = round_

    async def run(self, until: float) -> None:
        while time.perf_counter() < until:
            if await self.lifecycle():
                self.round.lifecycles += 1
            else:
                self.round.errors += 1

    async def lifecycle(self) -> bool:
        """One lifecycle; False at its first request that is not answered as it should."""
        job = await self.timed("/api/jobs", JOB)
        if job.status != 201:
            return False
        path, parent, steps = f"/api/jobs/{job.id}", None, []
        for _ in range(5):
            added = await self.timed(f"{path}/steps", step(parent))
            if added.status != 201:
                return False
            parent = added.id
            steps.append(parent)
        for key in reversed(steps):
            if (await self.timed(f"{path}/steps/{key}/end", END)).status != 200:
                return False
        return (await self.timed(f"{path}/end", END)).status == 200

    async def timed(self, path: str, body: bytes) -> Answer:
        begun = time.perf_counter()
        answer = await self.connection.post(path, body)
        self.round.times.append(time.perf_counter() - begun)
        return answer


async def measure(server: Server, way: str, *, clients: int, seconds: float) -> Round:
    """One round against a server that runs."""
    headers = server.credentials(way)
    connections = [await Connection.open(server.port, *headers) for _ in range(clients)]
    warm = Round()
    await asyncio.gather(*(Client(connection, warm).lifecycle() for connection in connections))
    round_ = Round()
    backends = server.database.backends()
    database_cpu, cpu, begun = processes.cpu(backends), server.cpu(), time.perf_counter()
    await asyncio.gather(*(Client(one, round_).run(begun + seconds) for one in connections))
    round_.seconds, round_.cpu = time.perf_counter() - begun, server.cpu() - cpu
    round_.database_cpu = processes.cpu(backends) - database_cpu
    round_.memory = processes.memory(server.pids())
    for connection in connections:
        connection.close()
    return round_
