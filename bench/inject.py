"""W1: lifecycles of 12 requests (a job, five nested steps, their ends, the job's end) by 1, 8 and 32 clients."""

import asyncio
import time
from dataclasses import dataclass, field
from statistics import quantiles

from bench import processes
from bench.client import Answer, Connection
from bench.servers import Server

JOB = b"<job><description>Clone web-01 to web-02</description><auto_cleared>true</auto_cleared></job>"
END = b"<action><status>FINISHED</status></action>"
REQUESTS = 12


@dataclass
class Round:
    """What one round of some seconds showed."""

    lifecycles: int = 0
    errors: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    times: list[float] = field(default_factory=list)  # seconds of each request
    memory: processes.Memory = field(default_factory=lambda: processes.Memory(0, 0))

    def figures(self) -> dict[str, float]:
        done = max(self.lifecycles, 1)
        cuts = quantiles(self.times, n=100) if len(self.times) > 1 else [0.0] * 99
        return {
            "rate": self.lifecycles / self.seconds,
            "p50": cuts[49] * 1000,
            "p99": cuts[98] * 1000,
            "cpu": self.cpu / done * 1000,
            "pss": self.memory.pss,
            "rss": self.memory.rss,
            "errors": self.errors,
        }


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


async def measure(server: Server, credentials: str, *, clients: int, seconds: float) -> Round:
    """One round against a server that runs."""
    headers = [credentials] if credentials else []
    connections = [await Connection.open(server.port, *headers) for _ in range(clients)]
    warm = Round()
    await asyncio.gather(*(Client(connection, warm).lifecycle() for connection in connections))
    round_ = Round()
    cpu, begun = server.cpu(), time.perf_counter()
    await asyncio.gather(*(Client(one, round_).run(begun + seconds) for one in connections))
    round_.seconds, round_.cpu = time.perf_counter() - begun, server.cpu() - cpu
    round_.memory = processes.memory(server.pids())
    for connection in connections:
        connection.close()
    return round_
