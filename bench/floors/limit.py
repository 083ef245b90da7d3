"""The limit: our server's durable commits by hand-written SQL, in an ASGI application of nothing else."""

import asyncio
import os
import re
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import psycopg

from bench.numbers import FIRST, job_id

Row = Sequence[Any]
Execute = Callable[..., Awaitable[list[Row]]]

_FIELD = re.compile(rb"<(description|type|status)>([^<]*)</")
_PARENT = re.compile(rb'<parent_step id="([^"]*)"')


class Store(Protocol):
    """A database as the statements below need it."""

    lock: str

    def reading(self) -> Any: ...

    def writing(self) -> Any: ...

    def key(self, value: UUID) -> Any: ...

    def instant(self, value: datetime) -> Any: ...

    def truth(self, value: bool) -> Any: ...


class Sqlite:
    """One connection, used by the event loop itself: SQLite has one writer anyway."""

    lock = ""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=20)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
            self.connection.execute(f"PRAGMA {pragma}")

    async def execute(self, statement: str, *values: Any) -> list[Row]:
        return self.connection.execute(statement.replace("%s", "?"), values).fetchall()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Execute]:
        yield self.execute

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Execute]:
        self.connection.execute("BEGIN IMMEDIATE")
        yield self.execute
        self.connection.execute("COMMIT")

    def key(self, value: UUID) -> str:
        return value.hex

    def instant(self, value: datetime) -> str:
        return value.replace(tzinfo=None).isoformat(" ")

    def truth(self, value: bool) -> int:
        return int(value)


class Postgres:
    """Connections kept by the event loop; statements are prepared at their first use."""

    lock = " FOR UPDATE"

    def __init__(self, url: str, size: int = 16) -> None:
        self.url, self.size = url, size
        self.free: asyncio.LifoQueue[psycopg.AsyncConnection[Any] | None] = asyncio.LifoQueue()
        for _ in range(size):
            self.free.put_nowait(None)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Execute]:
        connection = await self.free.get() or await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, prepare_threshold=0
        )

        async def execute(statement: str, *values: Any) -> list[Row]:
            found = await connection.execute(statement, values)  # type: ignore[arg-type]
            return await found.fetchall() if found.description else []

        try:
            yield execute
        finally:
            self.free.put_nowait(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Execute]:
        async with self.reading() as execute:
            await execute("BEGIN")
            yield execute
            await execute("COMMIT")

    def key(self, value: UUID) -> UUID:
        return value

    def instant(self, value: datetime) -> datetime:
        return value

    def truth(self, value: bool) -> bool:
        return value


def opened() -> Store:
    url = os.environ.get("DATABASE_URL")
    return Postgres(url) if url else Sqlite(Path(os.environ["TASKMONITOR_DATA"]) / "taskmonitor.sqlite3")


store = opened()

ADD_JOB = """INSERT INTO taskmonitor_job (id, status, reason, start_time, description, external, progress_text,
    last_updated, action_type, owner_id, correlation_id, auto_cleared, version, last_sign, steps_total, steps_open,
    steps_bad, causes)
    VALUES (%s, 'STARTED', '', %s, %s, %s, '', %s, 'AddExternalJob', 1, %s, %s, 1, %s, 0, 0, 0, 0)"""
THE_JOB = f"""SELECT status, owner_id, external, version, steps_total, steps_open, steps_bad, heartbeat_limit,
    deadline, end_time FROM taskmonitor_job WHERE id = %s{store.lock}"""
THE_STEP = "SELECT status, external, depth, end_time FROM taskmonitor_step WHERE job_id = %s AND id = %s"
LAST = "SELECT number FROM taskmonitor_step WHERE job_id = %s AND {} ORDER BY number DESC LIMIT 1"
LAST_TOP = LAST.format("parent_step_id IS NULL")
LAST_UNDER = LAST.format("parent_step_id = %s")
ADD_STEP = """INSERT INTO taskmonitor_step (id, status, reason, start_time, description, external, progress_text,
    last_updated, job_id, parent_step_id, number, depth, type)
    VALUES (%s, 'STARTED', '', %s, %s, %s, '', %s, %s, %s, %s, %s, %s)"""
TOUCH = """UPDATE taskmonitor_job SET last_updated = %s, last_sign = %s, version = %s, steps_total = %s,
    steps_open = %s, deadline = NULL, stale_at = NULL WHERE id = %s"""
END_STEP = """UPDATE taskmonitor_step SET status = %s, end_time = %s, last_updated = %s, reason = ''
    WHERE id = %s AND status IN ('STARTED', 'UNKNOWN')"""
OPEN = "SELECT id, status FROM taskmonitor_step WHERE job_id = %s AND end_time IS NULL"
END_JOB = """UPDATE taskmonitor_job SET status = %s, end_time = %s, last_updated = %s, last_sign = %s, version = %s,
    stale_at = NULL, steps_open = 0 WHERE id = %s AND status IN ('STARTED', 'UNKNOWN')"""
APPEND = """INSERT INTO taskmonitor_event (time, job_id, step_id, version, verb, old_status, new_status, actor_id,
    actor_name, text) VALUES (%s, %s, %s, %s, %s, %s, %s, 1, 'bench', '')"""
STEPS = """SELECT id, parent_step_id, description, type, number, status, start_time
    FROM taskmonitor_step WHERE job_id = %s"""
LIST = """SELECT j.id, j.description, j.status, u.username, j.start_time FROM taskmonitor_job j
    LEFT JOIN auth_user u ON u.id = j.owner_id{} WHERE j.cleared_at IS NULL AND {}
    ORDER BY {} LIMIT 51"""
ORDER = "j.start_time DESC, j.id DESC"
LISTS = {
    "newest": LIST.format("", "1 = 1", ORDER),
    "status": LIST.format("", "j.status = 'ABORTED'", ORDER),
    "owner": LIST.format("", "j.owner_id = (SELECT id FROM auth_user WHERE username = 'owner-07')", ORDER),
    "correlation": LIST.format("", "j.correlation_id = %s", ORDER),
    "deep": LIST.format("", "(j.start_time, j.id) < (%s, %s)", ORDER),
    "entity": LIST.format(
        " JOIN taskmonitor_jobentity e ON e.job_id = j.id",
        "e.entity_id = (SELECT id FROM taskmonitor_entity WHERE type = 'vm' AND key = 'vm-042')",
        "e.start_time DESC, e.job_id DESC",
    ),
}


async def add_job(given: dict[bytes, str], now: Any) -> UUID:
    made, key = uuid.uuid4(), store.key
    async with store.writing() as execute:
        yes = store.truth(True)
        await execute(ADD_JOB, key(made), now, given[b"description"], yes, now, str(uuid.uuid4()), yes, now)
        await execute(APPEND, now, key(made), None, 1, "added", "", "STARTED")
    return made


async def end_job(given: dict[bytes, str], now: Any, job: Any) -> None:
    status = given[b"status"]
    async with store.writing() as execute:
        [(old, _, _, version, *_)] = await execute(THE_JOB, job)
        await execute(OPEN, job)
        await execute(END_JOB, status, now, now, now, version + 1, job)
        await execute(APPEND, now, job, None, version + 1, "moved", old, status)


async def add_step(given: dict[bytes, str], now: Any, job: Any, parent: Any) -> UUID:
    made = uuid.uuid4()
    async with store.writing() as execute:
        [(_, _, _, version, total, opened, *_)] = await execute(THE_JOB, job)
        depth = 0
        if parent:
            [(_, _, above, _)] = await execute(THE_STEP, job, parent)
            depth, last = above + 1, await execute(LAST_UNDER, job, parent)
        else:
            last = await execute(LAST_TOP, job)
        number = last[0][0] + 1 if last else 0
        await execute(
            ADD_STEP, store.key(made), now, given[b"description"], store.truth(True), now, job, parent,
            number, depth, given[b"type"],
        )  # fmt: skip
        await execute(TOUCH, now, now, version + 1, total + 1, opened + 1, job)
        await execute(APPEND, now, job, store.key(made), version + 1, "added", "", "STARTED")
    return made


async def end_step(given: dict[bytes, str], now: Any, job: Any, step: Any) -> None:
    status = given[b"status"]
    async with store.writing() as execute:
        [(_, _, _, version, total, opened, *_)] = await execute(THE_JOB, job)
        [(old, *_)] = await execute(THE_STEP, job, step)
        await execute(END_STEP, status, now, now, step)
        await execute(TOUCH, now, now, version + 1, total, opened - 1, job)
        await execute(APPEND, now, job, step, version + 1, "moved", old, status)


async def tree(job: Any) -> bytes:
    async with store.reading() as execute:
        await execute(THE_JOB, job)
        found = await execute(STEPS, job)
    children: dict[Any, list[Row]] = {}
    for step in sorted(found, key=lambda step: -step[4]):
        children.setdefault(step[1], []).append(step)
    waiting, pieces = children.get(None, []), []
    while waiting:
        key, above, description, kind, number, status, start = waiting.pop()
        pieces.append(
            f'<step id="{key}"><parent_step id="{above}"/><description>{description}</description><type>{kind}'
            f"</type><number>{number}</number><status>{status}</status><start_time>{start}</start_time></step>"
        )
        waiting += children.get(key, [])
    return f"<steps>{''.join(pieces)}</steps>".encode()


async def listed(name: str, *values: str) -> bytes:
    given: list[Any] = [*values]
    if name == "deep":
        number = int(values[0])
        given = [store.instant(FIRST + timedelta(seconds=number)), store.key(UUID(job_id(number)))]
    async with store.reading() as execute:
        found = await execute(LISTS[name], *given)
    pieces = [
        f'<job id="{key}"><description>{description}</description><status>{status}</status><owner>{owner}</owner>'
        f"<start_time>{start}</start_time></job>"
        for key, description, status, owner, start in found
    ]
    return f"<jobs>{''.join(pieces)}</jobs>".encode()


async def answer(method: str, path: list[str], query: str, body: bytes) -> tuple[int, bytes]:
    """The answer to a request beneath /api/jobs; the query names a list and its values."""
    keys = [UUID(part) for part in path if len(part) == 36]
    if method == "GET":
        return 200, await tree(store.key(keys[0])) if keys else await listed(*(query or "newest").split("&"))
    given = {name: value.decode() for name, value in _FIELD.findall(body)}
    now = store.instant(datetime.now(UTC))
    ids = [store.key(key) for key in keys]
    match path[1:]:
        case []:
            return 201, b'<job id="%s"/>' % str(await add_job(given, now)).encode()
        case [_, "end"]:
            await end_job(given, now, *ids)
        case [_, "steps"]:
            parent = _PARENT.search(body)
            above = store.key(UUID(parent[1].decode())) if parent else None
            return 201, b'<step id="%s"/>' % str(await add_step(given, now, *ids, above)).encode()
        case _:
            await end_step(given, now, *ids)
    return 200, b'<action id="%s"/>' % str(keys[-1]).encode()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = (await receive())["body"]
    path, query = scope["path"].split("/")[2:], scope["query_string"].decode()
    status, answered = await answer(scope["method"], path, query, body)
    headers = [(b"content-type", b"application/xml"), (b"content-length", b"%d" % len(answered))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answered})
