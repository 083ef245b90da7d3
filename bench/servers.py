"""What is measured: our own server as it is deployed, and the two floors that it stands on."""

import base64
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.databases import Database

ROOT = Path(__file__).resolve().parent.parent
UVICORN = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--loop", "uvloop"]
COMMANDS = {
    "ours": [sys.executable, "manage.py", "up"],
    "django": [*UVICORN, "taskmonitor.asgi:application"],
    "limit": [*UVICORN, "bench.floors.limit:application"],
}
FLOOR_SETTINGS = {"DJANGO_SETTINGS_MODULE": "bench.floors.django_settings"}


@dataclass
class Server:
    """A running server. `django` is bare Django with the same statements, `limit` raw SQL in raw ASGI."""

    kind: str
    database: Database
    process: subprocess.Popen[bytes]
    port: int

    @classmethod
    def start(cls, kind: str, database: Database, **environment: str) -> "Server":
        """Start it; it may not answer yet."""
        port, command, more = free_port(), COMMANDS[kind], {**environment}
        if kind == "ours":
            more |= {"HOST": "127.0.0.1", "PORT": str(port)}
        else:
            command = [*command, "--port", str(port)]
        if kind == "django":
            more |= FLOOR_SETTINGS
        log = (database.folder / f"{kind}.log").open("ab")
        process = subprocess.Popen(command, cwd=ROOT, env=database.environment | more, stdout=log, stderr=log)
        return cls(kind, database, process, port)

    def wait(self) -> "Server":
        """Return when it accepts connections."""
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise SystemExit(f"{self.kind} did not start:\n{self.log()}")

    def log(self) -> str:
        """The end of what it printed."""
        return (self.database.folder / f"{self.kind}.log").read_text()[-2000:]

    def pids(self) -> set[int]:
        return processes.tree(self.process.pid)

    def cpu(self) -> float:
        """Seconds that the server and its database backends have used."""
        return processes.cpu(self.pids() | self.database.backends())

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def credentials(self, way: str = "bearer") -> list[str]:
        """The headers of the bench's user: by `basic` or `bearer`, or the cookie of a `session`; floors need none."""
        accounts = self.database.accounts
        if self.kind != "ours" or not accounts:
            return []
        if way == "session":
            return [f"Cookie: sessionid={accounts['session']}"]
        if way == "bearer":
            return [f"Authorization: Bearer {accounts['token']}"]
        pair = f"{accounts['name']}:{accounts['password']}".encode()
        return [f"Authorization: Basic {base64.b64encode(pair).decode()}"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
