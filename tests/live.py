"""The real thing for tests: `manage.py up` on a free port, with its own data."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg

ROOT = Path(__file__).parent.parent
START_TIMEOUT = 60  # seconds, with migrations, on a busy machine
STOP_TIMEOUT = 10  # seconds: a promise of `up`


@dataclass
class Site:
    """A running instance. `username` and `password` are those of its superuser."""

    url: str
    username: str
    password: str
    data: Path
    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    must_end_with: int = 0

    def manage(self, *arguments: str) -> str:
        """Run `manage.py` on the site's own data; what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        environment = os.environ | self.environment
        return subprocess.run(
            command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def kill(self) -> None:
        """End all of its processes at once."""
        self.process.kill()
        self.process.wait()

    def come_back(self) -> None:
        """Start again, at the same address, on the same data."""
        self.process = start(self.data, **self.environment, PORT=self.url.rpartition(":")[2])
        wait_for_address(self.data, self.process)

    @property
    def output(self) -> str:
        return (self.data / "up.out").read_text()

    @property
    def log(self) -> str:
        return (self.data / "up.err").read_text()


@contextmanager
def running_site(data: Path, **environment: str) -> Iterator[Site]:
    """A site that answers; in the end it is stopped by SIGTERM and must have ended well.

    On PostgreSQL, if that is what the tests run on, it has a database of its own.
    """
    with own_database() as database:
        environment = {
            "TASKMONITOR_DATA": str(data),
            "DJANGO_SUPERUSER_USERNAME": "admin",
            "DJANGO_SUPERUSER_PASSWORD": "correct horse battery",
            **database,
            **environment,
        }
        site = Site(
            url="",
            username=environment["DJANGO_SUPERUSER_USERNAME"],
            password=environment["DJANGO_SUPERUSER_PASSWORD"],
            data=data,
            process=start(data, **environment),
            environment=environment,
        )
        try:
            site.url = wait_for_address(data, site.process)
            yield site
            if site.process.poll() is None:
                site.process.terminate()
            assert site.process.wait(STOP_TIMEOUT) == site.must_end_with, site.log
        finally:
            site.kill()


def plug_in(folder: Path, module: str) -> str:
    """The PYTHONPATH of a site on which a package is installed whose module registers commands."""
    about = folder / "tests_plug_in-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tests-plug-in\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[taskmonitor.commands]\ntests = {module}\n")
    return f"{folder}:{ROOT}"


def start(data: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """`manage.py up` on a free port, its output in files in `data`."""
    data.mkdir(parents=True, exist_ok=True)
    environment = {"TASKMONITOR_DATA": str(data), "HOST": "127.0.0.1", "PORT": "0", **environment}
    with (data / "up.out").open("wb") as output, (data / "up.err").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "manage.py", "up", *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
        )


def wait_for_address(data: Path, process: subprocess.Popen[bytes]) -> str:
    """The address the site says it answers at, without a slash at its end."""
    deadline = time.monotonic() + START_TIMEOUT
    while not (said := re.search(r"is at (http://\S+)/\n", (data / "up.out").read_text())):
        assert process.poll() is None, (data / "up.err").read_text()
        assert time.monotonic() < deadline, "the site does not answer"
        time.sleep(0.02)
    return said[1]


@contextmanager
def own_database(options: str = "") -> Iterator[dict[str, str]]:
    """The environment that names a fresh database, dropped in the end; empty for SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith(("postgres", "psql")):
        yield {}
        return
    name = f"tm_live_{uuid4().hex[:12]}"
    server = psycopg.connect(_with_name(url, "postgres"), autocommit=True)
    try:
        server.execute(f"CREATE DATABASE {name} {options}".encode())
        try:
            yield {"DATABASE_URL": _with_name(url, name)}
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    finally:
        server.close()


def _with_name(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql", path=f"/{name}"))
