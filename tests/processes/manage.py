"""`manage.py` as an operator runs it, on data that a site may use at the same time or not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live import ROOT, own_database


@dataclass(frozen=True)
class Place:
    """A data folder, and on PostgreSQL a database; the environment that names both."""

    data: Path
    environment: dict[str, str]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=os.environ | self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def done(self, *arguments: str) -> str:
        """What it printed; it must have gone well."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, **environment: str) -> str:
        """The one line with which it is refused."""
        done = self.run(*arguments, **environment)
        assert done.returncode not in (0, -9), done.stdout
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr.removeprefix("CommandError: ").strip()

    def python(self, code: str) -> str:
        """What the code prints that Django's shell runs."""
        return self.done("shell", "-v", "0", "-c", code).strip()


@contextmanager
def new_place(data: Path) -> Iterator[Place]:
    with own_database() as database:
        data.mkdir(parents=True, exist_ok=True)
        yield Place(data, {"TASKMONITOR_DATA": str(data), **database})
