"""A site without web server, under load, on which faults are tried."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.checker import Faults, breaches
from tests.faults.commands import leave
from tests.faults.evidence import Row, Store, lines
from tests.live import ROOT, STOP_TIMEOUT, start
from tests.processes.eyes import alive, children, descendants, eventually

BOUND = 60  # seconds after the last fault in which all commands must be over, also on a busy machine
CLIENT = "import sys, django; django.setup(); from tests.faults.load import main; main(sys.argv[1], *map(float, sys.argv[2:]))"
PRELUDE = """
import django
django.setup()
from django.utils import timezone
from coordinator.executor import execute_async
"""
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", 0))  # of `make faults`; 0 is the short part, in `make test`
in_full = pytest.mark.skipif(not ROUNDS, reason="takes long: make faults")
SEED = os.environ.get("FAULTS_SEED") or str(random.SystemRandom().randrange(10**6))


NAMES = {"tm-execute", "tm-poll", "tm-watch"}  # of processes of a cluster


def name_of(pid: int) -> str:
    """The name that the process has in lists of processes; empty if it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


class Ground:
    """The site, its clients, and what they leave behind."""

    def __init__(self, folder: Path, database: dict[str, str], **environment: str) -> None:
        self.folder, self.data = folder, folder / "data"
        self.data.mkdir(parents=True)
        self._plug_in()
        self.effects, self.acks = folder / "effects", folder / "acks"
        self.environment = {
            "TASKMONITOR_DATA": str(self.data),
            "PYTHONPATH": f"{folder}:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "taskmonitor.settings",
            "DJANGO_SUPERUSER_PASSWORD": "correct horse battery",
            "TASKMONITOR_CLEAR_FINISHED_MINUTES": "10000",  # a long upkeep would keep a worker from ending in time
            "TASKMONITOR_CLEAR_FAILED_MINUTES": "10000",
            "FAULTS_EFFECTS": str(self.effects),
            "FAULTS_ACKS": str(self.acks),
            **database,
            **environment,
        }
        self.store = Store(database.get("DATABASE_URL") or str(self.data / "taskmonitor.sqlite3"))
        self.sites: list[subprocess.Popen[bytes]] = []
        self.tears, self.workers = 0, 3

    def _plug_in(self) -> None:
        """What installing a package leaves: its entry point says where its commands are."""
        package = self.folder / "faults-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: faults\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text(
            "[taskmonitor.commands]\nfaults = tests.faults.commands\nzoo = tests.faults.zoo\n"
        )

    # The site

    def up(self, **environment: str) -> subprocess.Popen[bytes]:
        """One more supervisor with a cluster, once its workers run."""
        logs = self.folder / f"site{len(list(self.folder.glob('site*')))}"
        site = start(logs, "--only", "cluster", **self.environment | environment)
        self.sites.append(site)
        self.cluster(site)
        return site

    def cluster(self, site: subprocess.Popen[bytes] | None = None) -> dict[str, int]:
        """The processes of a site's cluster, by what they do, once all run."""
        site = site or self.sites[0]

        def roles() -> dict[str, int]:
            assert site.poll() is None, self.log
            for sentinel in children(site.pid):
                named: dict[str, list[int]] = {}
                for pid in children(sentinel):
                    named.setdefault(name_of(pid), []).append(pid)
                if len(named.get(name_of(sentinel), ())) == 2 and set(named) > NAMES:
                    ordinary, monitor = sorted(named[name_of(sentinel)])
                    found = {"cluster": sentinel, "ordinary": ordinary, "monitor": monitor}
                    return found | {name: named[name][0] for name in NAMES}
            return {}

        return eventually(roles)

    def kill(self, what: str) -> None:
        """kill -9 of one process of the first site, of the cluster's children, or of all, which is then started anew."""
        self.tears += 1
        if what != "everything":
            cluster = self.cluster()
            for pid in children(cluster["cluster"]) if what == "children" else [cluster[what]]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        site = self.sites.pop(0)
        for pid in [site.pid, *descendants(site.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        site.wait()
        self.up()

    def stop(self) -> None:
        """End all sites by SIGTERM; each must end well, and soon."""
        for site in self.sites:
            site.terminate()
        for site in self.sites:
            assert site.wait(STOP_TIMEOUT) == 0, self.log
        self.sites.clear()

    def remove(self) -> None:
        """End what is left of the sites."""
        for site in self.sites:
            left = [site.pid, *descendants(site.pid)]
            site.kill()
            site.wait()
            eventually(lambda left=left: not any(alive(pid) for pid in left))

    @property
    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("site*/up.err")))

    # The load

    def submit(self, name: str, **parameters: float | str) -> str:
        """Submit one command; its id."""
        call = f"execute_async({name!r}, {parameters!r}, now=timezone.now()).command_id.hex"
        command_id = self.python(f"print({call})").strip()
        leave(str(self.acks), {"told": "submitted", "id": command_id})
        return command_id

    def python(self, code: str) -> str:
        """Run it as a program that has the coordinator at hand; what it printed."""
        return subprocess.run(
            [sys.executable, "-c", f"{PRELUDE}{code}"],
            env=os.environ | self.environment,
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def attempted(self, command_id: str) -> int:
        """The last attempt at executing the command that came to anything."""
        return max(line["attempt"] for line in lines(self.effects) if line["id"] == command_id)

    def did(self, command_id: str, effect: str) -> int:
        """How often the command has done that so far."""
        seen = [line for line in lines(self.effects) if line["id"] == command_id]
        return sum(line["what"] == effect for line in seen)

    @contextmanager
    def load(self, seed: str, seconds: float, rate: float = 20) -> Iterator[None]:
        """A client at work; it ends well, if only it is not killed."""
        with (self.folder / "client.err").open("ab") as log:
            client = subprocess.Popen(
                [sys.executable, "-c", CLIENT, seed, str(seconds), str(rate)],
                env=os.environ | self.environment | {"FAULTS_CLIENT": "1"},
                cwd=ROOT,
                stderr=log,
            )
        try:
            eventually(lambda: self.acks.exists() or client.poll() is not None)
            yield
            assert client.wait(seconds + BOUND) == 0, (self.folder / "client.err").read_text()
        finally:
            client.kill()
            client.wait()

    def drain(self, bound: float = BOUND) -> float:
        """Wait until all commands are over; how many seconds that took."""
        begun = time.monotonic()
        while self.store.count("ended_at IS NULL AND status NOT IN ('HELD', 'UNKNOWN')"):
            assert time.monotonic() - begun < bound, f"not over: {self.left()}\n{self.log[-5000:]}"
            time.sleep(0.05)
        return time.monotonic() - begun

    def row(self, command_id: str) -> Row:
        """What is stored of a command."""
        return self.store.evidence(self.effects, self.acks).commands[command_id]

    def left(self) -> list[str]:
        """What is not over, in words."""
        evidence = self.store.evidence(self.effects, self.acks)
        names = ("command_type", "command_id", "status", "due_at", "lease_until", "worker")
        return [
            " ".join(str(row[name]) for name in names)
            for row in evidence.commands.values()
            if row["ended_at"] is None and row["status"] not in ("HELD", "UNKNOWN")
        ]

    def check(self, *, clock_set: bool = False) -> None:
        """Nothing of what is promised is broken."""
        faults = Faults(self.tears, self.workers, clock_set)
        found = breaches(self.store.evidence(self.effects, self.acks), faults)
        assert found == [], "\n".join(found[:50])
