"""The limit: three hand-written commits for a command - submitted, claimed, ended - and no framework."""

import os
import sqlite3
import time
from datetime import timedelta
from typing import Any

import psycopg

from bench.queues import effects

URL = os.environ.get("DATABASE_URL", "")
LOOK = 0.005  # seconds between looks for commands
EVERY = 10  # seconds between polls of a sleeper
BATCH = 500  # sleepers that are polled in one commit
SCHEMA = """
    CREATE TABLE command (
        id {key}, kind TEXT NOT NULL, number INTEGER NOT NULL, parent INTEGER, state INTEGER NOT NULL DEFAULT 0,
        live INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX command_waits ON command (id) WHERE state = 0;
    CREATE INDEX command_lives ON command (id) WHERE state < 2;
    CREATE TABLE sleeper (number INTEGER PRIMARY KEY, due DOUBLE PRECISION NOT NULL);
    CREATE INDEX sleeper_due ON sleeper (due);
"""
KEYS = {True: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", False: "INTEGER PRIMARY KEY"}
LOCK = "FOR UPDATE SKIP LOCKED" if URL else ""
INSERT = "INSERT INTO command (kind, number, parent) VALUES (%s, %s, %s)"
CLAIM = f"""
    UPDATE command SET state = 1 WHERE id = (SELECT id FROM command WHERE state = 0 ORDER BY id LIMIT 1 {LOCK})
    RETURNING id, kind, number, parent
"""
POLLED = f"SELECT number FROM sleeper WHERE due <= %s ORDER BY due LIMIT {BATCH}"


class Store:
    """One connection, each of whose statements is a commit, but in `begin` .. `commit`."""

    def __init__(self) -> None:
        if URL:
            self.connection: Any = psycopg.connect(URL, autocommit=True, prepare_threshold=0)
            return
        path = os.environ["TASKMONITOR_DATA"] + "/limit.sqlite3"
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=20)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-16000"):
            self.connection.execute(f"PRAGMA {pragma}")

    def execute(self, statement: str, *values: Any) -> list[Any]:
        found = self.connection.execute(statement if URL else statement.replace("%s", "?"), values)
        return found.fetchall() if found.description else []

    def begin(self) -> None:
        self.execute("BEGIN" if URL else "BEGIN IMMEDIATE")


store = Store()


def prepare() -> None:
    for statement in SCHEMA.format(key=KEYS[bool(URL)]).split(";")[:-1]:
        store.execute(statement)


def submit(kind: str, number: int) -> None:
    store.execute(INSERT, kind, number, None)


def left() -> int:
    [(number,)] = store.execute("SELECT count(*) FROM command WHERE state < 2")
    return int(number)


def sleepers(number: int) -> None:
    now = time.time()
    store.begin()
    for each in range(number):
        due = now + EVERY * (1 + each / number)
        store.execute("INSERT INTO sleeper VALUES (%s, %s)", each, due)
    store.execute("COMMIT")


def work() -> None:
    store.execute("UPDATE command SET state = 0 WHERE state = 1")
    if os.environ.get("BENCH_SLEEPERS"):
        while True:
            time.sleep(0 if _poll() else timedelta(milliseconds=100).total_seconds())
    while True:
        if claimed := store.execute(CLAIM):
            _run(*claimed[0])
        else:
            time.sleep(LOOK)


def _run(key: int, kind: str, number: int, parent: int | None) -> None:
    (effects.slow if kind == "slow" else effects.no_op)(number)
    if kind == "parent":
        store.begin()
        for _ in range(3):
            store.execute(INSERT, "no_op", number, key)
        store.execute("UPDATE command SET live = 3 WHERE id = %s", key)
        store.execute("COMMIT")
    elif parent is None:
        store.execute("UPDATE command SET state = 2 WHERE id = %s", key)
    else:
        store.begin()
        store.execute("UPDATE command SET state = 2 WHERE id = %s", key)
        store.execute(
            "UPDATE command SET live = live - 1, state = CASE live WHEN 1 THEN 2 ELSE state END WHERE id = %s",
            parent,
        )
        store.execute("COMMIT")


def _poll() -> bool:
    """Poll those that are due; whether there may be more."""
    due = store.execute(POLLED, time.time())
    if not due:
        return False
    for (number,) in due:
        effects.poll(number)
    marks = ", ".join(["%s"] * len(due))
    store.execute(
        f"UPDATE sleeper SET due = due + {EVERY} WHERE number IN ({marks})", *(number for (number,) in due)
    )
    return len(due) == BATCH
