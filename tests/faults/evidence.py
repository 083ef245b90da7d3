"""What is left of a run, read without any of the code that wrote it: the database, the effects, what clients were told."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
TABLES = {
    "commands": "command_entities",
    "jobs": "taskmonitor_job",
    "steps": "taskmonitor_step",
    "events": "taskmonitor_event",
}

INDEXES = """
    SELECT bt_index_check(index.indexrelid, true) FROM pg_index index
    JOIN pg_class class ON class.oid = index.indexrelid JOIN pg_am ON pg_am.oid = class.relam
    WHERE pg_am.amname = 'btree' AND class.relname LIKE ANY (ARRAY['command%', 'taskmonitor%'])
"""


@dataclass
class Evidence:
    """Rows, and lines of the two files, each in the order in which they were written."""

    commands: dict[str, Row] = field(default_factory=dict)  # by id, 32 hexadecimal digits
    jobs: dict[str, Row] = field(default_factory=dict)
    steps: dict[str, Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    effects: list[Row] = field(default_factory=list)
    told: list[Row] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)  # what the database says of itself


@dataclass(frozen=True)
class Store:
    """A database: SQLite's file, or PostgreSQL's address."""

    address: str

    def evidence(self, effects: Path, told: Path) -> Evidence:
        """All that there is now, as of one moment."""
        if self.address.startswith("postgres"):
            with psycopg.connect(self.address, autocommit=True) as server:
                server.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
        with self._connection() as ask:
            tables = {
                name: [_plain(row) for row in ask(f"SELECT * FROM {table}")]  # noqa: S608 - a word of ours
                for name, table in TABLES.items()
            }
            damage = self._damage(ask)
        return Evidence(
            commands={row["command_id"]: row for row in tables["commands"]},
            jobs={row["id"]: row for row in tables["jobs"]},
            steps={row["id"]: row for row in tables["steps"]},
            events=sorted(tables["events"], key=lambda row: row["position"]),
            effects=lines(effects),
            told=lines(told),
            damage=damage,
        )

    def count(self, where: str) -> int:
        """How many commands are such."""
        with self._connection() as ask:
            [row] = ask(f"SELECT count(*) AS number FROM command_entities WHERE {where}")  # noqa: S608
            return int(row["number"])

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self.address.startswith("postgres"):
            with psycopg.connect(self.address, row_factory=dict_row) as server:
                server.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                yield lambda sql: server.execute(sql.encode()).fetchall()
        else:
            with closing(sqlite3.connect(self.address, timeout=20, isolation_level=None)) as file:
                file.row_factory = sqlite3.Row
                file.execute("BEGIN")
                yield lambda sql: [dict(row) for row in file.execute(sql)]

    def _damage(self, ask: Any) -> list[str]:
        """What its own check of itself says (PostgreSQL's: of each index against its table)."""
        if self.address.startswith("postgres"):
            try:
                ask(INDEXES)
            except psycopg.DatabaseError as error:
                return [str(error)]
            return []
        whole = [row["integrity_check"] for row in ask("PRAGMA integrity_check")]
        foreign = [f"foreign key: {row}" for row in ask("PRAGMA foreign_key_check")]
        return [line for line in whole if line != "ok"] + foreign


def lines(path: Path) -> list[Row]:
    """The lines of a file; none if it is not there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _plain(row: Row) -> Row:
    """The row in one form for both databases: ids as digits, instants aware."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, str) and name.endswith(
        ("_at", "_until", "_time", "time", "last_updated", "last_sign")
    ):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value
