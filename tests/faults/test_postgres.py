"""F5: PostgreSQL is restarted, or cuts everybody off, under load."""

import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from tests.faults.ground import ROUNDS, SEED, Ground

AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@dataclass
class Server:
    """A PostgreSQL of our own."""

    binaries: Path
    place: Path
    port: int
    host: str = "127.0.0.1"
    inside: tuple[str, ...] = ()  # what a command begins with to run where the host is

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/postgres"

    def run(self, program: str, *arguments: str) -> None:
        user = [] if os.getuid() else AS_POSTGRES  # it refuses to run as root
        subprocess.run(
            [*self.inside, *user, self.binaries / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.place,
        )

    def control(self, *arguments: str) -> None:
        options = f"-p {self.port} -k {self.place} -c listen_addresses={self.host}"
        log = self.place / "log"
        self.run("pg_ctl", "-D", f"{self.place}/data", "-l", f"{log}", "-w", "-o", options, *arguments)

    def restart(self) -> None:
        """As after a crash: nobody is asked, and what was not committed is gone."""
        self.control("restart", "-m", "immediate")

    def cut_off(self) -> None:
        """End all connections."""
        with suppress(psycopg.OperationalError):
            self.ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def ask(self, statement: LiteralString) -> None:
        with psycopg.connect(self.url, autocommit=True) as server:
            server.execute(statement)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        pytest.skip("on PostgreSQL only")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found:
        pytest.skip("no PostgreSQL can be started here (Debian: postgresql)")
    place = Path("/tmp", f"faults-{os.getpid()}-{time.monotonic_ns()}")  # noqa: S108 - short enough for a socket's path
    place.mkdir()
    if not os.getuid():
        subprocess.run(["chown", "postgres", place], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made = Server(found[-1], place, free.getsockname()[1])
    made.run("initdb", "-D", f"{place}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8")
    made.control("start")
    try:
        yield made
    finally:
        made.control("stop", "-m", "immediate")
        subprocess.run(["rm", "-rf", place], check=True)


def test_a_database_that_goes_away_loses_nothing(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(SEED)
    ground = Ground(
        tmp_path_factory.mktemp("faults"), {"DATABASE_URL": server.url}, TASKMONITOR_LEASE_SECONDS="4"
    )
    try:
        ground.up()
        for number in range(min(ROUNDS, 20) or 1):
            with ground.load(f"{SEED}/{number}", seconds=3):
                for fault in (server.restart, server.cut_off):
                    time.sleep(chance.random() * 1.5)
                    ground.tears += 1
                    fault()
            ground.drain()
            ground.check()
        ground.stop()
    finally:
        ground.remove()
