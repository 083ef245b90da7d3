"""What runs durable commands: our own site, the limit, and peers, each in an environment of its own."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.databases import Database
from bench.plan import Plan
from bench.report import LIMIT, OURS, Figures
from bench.servers import ROOT, free_port

MONITORED, DBOS, PROCRASTINATE, DJANGO_Q2 = "monitored", "dbos", "procrastinate", "django-q2"
SITE = [sys.executable, "manage.py", "up"]


@dataclass(frozen=True, slots=True)
class System:
    """One row of the tables: its name there, its module in bench.queues, the databases it can use."""

    name: str
    module: str
    kinds: tuple[str, ...] = ("sqlite", "postgres")
    packages: tuple[str, ...] = ()  # none: it runs in our own environment
    needs: str = ""  # a program

    @property
    def site(self) -> bool:
        return self.module == OURS


BASE = (System(OURS, OURS), System(LIMIT, LIMIT))
SHOWN = System(MONITORED, OURS)
PEERS = (
    System(DBOS, "dbos", packages=("dbos==3.4.0",)),
    System(
        PROCRASTINATE,
        "procrastinate",
        kinds=("postgres",),
        packages=("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
    ),
    System(
        "celery on Redis",
        "celery",
        kinds=("postgres",),
        packages=("celery[redis]==5.7.0",),
        needs="redis-server",
    ),
    System(
        DJANGO_Q2,
        "django_q2",
        packages=("django-q2==1.11.1", "django==5.2.19", "psycopg[binary]==3.3.9"),
    ),
)


class Systems:
    """Those of a run, each with its Python, on fresh databases."""

    def __init__(self, plan: Plan, chosen: tuple[System, ...]) -> None:
        self.folder = plan.folder
        self.patterns = {
            kind: Database.create(kind, "pattern_commands", plan.folder).prepare() for kind in plan.kinds
        }
        self.pythons = {system: python for system in chosen if (python := _python(system, plan.folder))}
        _plug_in(plan.folder)

    def on(self, kind: str) -> list[System]:
        return [system for system in self.pythons if kind in system.kinds]

    @contextmanager
    def running(self, system: System, kind: str, **environment: str) -> Iterator["Running"]:
        """The system with its workers started, on an empty database; killed and gone in the end."""
        like = self.patterns[kind] if system.site else None
        label = f"commands_{system.name.replace(' ', '_')}"
        database = Database.create(kind, label, self.folder, like=like)
        running = Running(system, database, self.pythons[system], environment)
        try:
            running.prepare()
            yield running
        finally:
            running.stop()
            database.drop()

    def drop(self) -> None:
        for pattern in self.patterns.values():
            pattern.drop()


class Running:
    """A system's workers on one database, and its client."""

    def __init__(self, system: System, database: Database, python: str, environment: dict[str, str]) -> None:
        self.system, self.database, self.python = system, database, python
        self.effects = database.folder / "bench"
        self.effects.mkdir()
        self.environment = {
            **database.environment,
            "PYTHONPATH": f"{database.folder.parent}:{ROOT}",
            "BENCH_EFFECTS": str(self.effects),
            "HOST": "127.0.0.1",
            "PORT": "0",
            "LOG_LEVEL": "WARNING",
            **({"BENCH_MONITORED": "1"} if system.name == MONITORED else {}),
            **environment,
        }
        self.started: list[subprocess.Popen[bytes]] = []
        self.workers: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        if self.system.needs == "redis-server":
            port = str(free_port())
            self.environment["BENCH_REDIS"] = port
            command = ["redis-server", "--port", port, "--appendonly", "yes", "--dir", str(self.effects)]
            self.started.append(self._start(command))
        if not self.system.site:
            self.drive("prepare")

    def start(self) -> "Running":
        """Start the workers; they may not work yet."""
        self.workers = self._start(SITE if self.system.site else [*self._drive, "work"])
        return self

    def drive(self, action: str, *numbers: int) -> Figures:
        """Have a client do something to it, and wait for that (bench/queues/drive.py)."""
        command = [*self._drive, action, *map(str, numbers)]
        with self._log.open("ab") as log:
            done = subprocess.run(command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=log)
        if done.returncode:
            raise Failed(f"{self.system.name} cannot {action}: {self.log()}")
        figures: Figures = json.loads(done.stdout.splitlines()[-1])
        return figures

    def cpu(self) -> float:
        """Seconds that its workers and what keeps its data have used."""
        return processes.cpu(self.pids() | self.database.backends())

    def pids(self) -> set[int]:
        started = [*self.started, *filter(None, [self.workers])]
        return {pid for process in started for pid in processes.tree(process.pid)}

    def kill(self) -> None:
        """kill -9 of all its workers at once, whoever looks after them first."""
        if self.workers:
            processes.kill(self.workers.pid)
            self.workers.wait()
            self.workers = None

    def stop(self) -> None:
        self.kill()
        for process in self.started:
            process.kill()
            process.wait()

    def log(self) -> str:
        """The end of what its workers and clients printed."""
        return self._log.read_text(errors="replace")[-2000:]

    @property
    def _log(self) -> Path:
        return self.effects / "log"

    @property
    def _drive(self) -> list[str]:
        return [self.python, "-m", "bench.queues.drive", self.system.module]

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)


class Failed(Exception):
    """A system did not do what was asked of it."""


@contextmanager
def left_out(system: System) -> Iterator[None]:
    """Within it a peer may fail; that is said, and it is left out. Ours and the limit may not."""
    try:
        yield
    except Failed as error:
        if not system.packages:
            raise
        print(f"{system.name} is left out: {error}", file=sys.stderr)


def _python(system: System, folder: Path) -> str | None:
    """The interpreter that knows the system's packages; None, and a reason printed, if they are not to be had."""
    if system.needs and not shutil.which(system.needs):
        print(f"{system.name} is left out: there is no {system.needs}", file=sys.stderr)
        return None
    if not system.packages:
        return sys.executable
    place = folder / "environments" / system.module
    python = str(place / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *system.packages]
    try:
        for command in ([sys.executable, "-m", "venv", str(place)], install):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = str(error.stderr or error).strip().rpartition("\n")[2]
        print(f"{system.name} is left out, it cannot be installed: {reason}", file=sys.stderr)
        return None
    return python


def _plug_in(folder: Path) -> None:
    """What installing a package leaves: its entry point says where its commands are."""
    package = folder / "bench-1.0.dist-info"
    package.mkdir(exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: bench\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[taskmonitor.commands]\nbench = bench.queues.plugin\n")
