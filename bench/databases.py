"""Fresh databases to measure on: a folder with SQLite's file, or a database of a PostgreSQL server."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

POSTGRES = os.environ.get("BENCH_POSTGRES", "postgres://postgres@127.0.0.1:5432")


@dataclass
class Database:
    """A database of one name; `environment` is that of a process which uses it."""

    kind: str  # sqlite or postgres
    name: str
    folder: Path
    accounts: dict[str, Any] = field(default_factory=dict)
    jobs: int = 0

    @property
    def environment(self) -> dict[str, str]:
        clean = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
        }
        common = {**clean, "TASKMONITOR_DATA": str(self.folder)}
        return common if self.kind == "sqlite" else {**common, "DATABASE_URL": f"{POSTGRES}/{self.name}"}

    @classmethod
    def create(cls, kind: str, name: str, root: Path, *, like: "Database | None" = None) -> "Database":
        """An empty one, or a copy of one that nobody uses; an older one of that name is gone."""
        database = cls(kind, f"tm_bench_{name}", root / f"{kind}_{name}")
        database.drop()
        if like:
            shutil.copytree(like.folder, database.folder)
            database.accounts, database.jobs = like.accounts, like.jobs
        else:
            database.folder.mkdir(parents=True)
        if kind == "postgres":
            _administer(f'CREATE DATABASE "{database.name}" TEMPLATE "{like.name if like else "template1"}"')
        return database

    def prepare(self, *, jobs: int = 0) -> "Database":
        """Migrate it, make the bench's user and token, and fill it with so many jobs."""
        command = [sys.executable, "-m", "bench.prepare", str(jobs)]
        done = subprocess.run(command, env=self.environment, check=True, stdout=subprocess.PIPE)
        self.accounts, self.jobs = json.loads(done.stdout), jobs
        return self

    def backends(self) -> set[int]:
        """The database server's processes that work for it."""
        if self.kind == "sqlite":
            return set()
        return {
            pid for (pid,) in _administer(f"SELECT pid FROM pg_stat_activity WHERE datname = '{self.name}'")
        }

    def drop(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.kind == "postgres":
            _administer(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def available() -> list[str]:
    """The kinds of database that can be measured here."""
    try:
        _administer("SELECT 1")
    except psycopg.OperationalError as error:
        print(f"PostgreSQL is left out: {error} (BENCH_POSTGRES)", file=sys.stderr)
        return ["sqlite"]
    return ["sqlite", "postgres"]


def _administer(statement: str) -> list[Any]:
    with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True, connect_timeout=3) as connection:
        found = connection.execute(statement)  # type: ignore[call-overload]  # names are our own
        return found.fetchall() if found.description else []
