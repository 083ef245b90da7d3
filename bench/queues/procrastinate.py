"""procrastinate: tasks in PostgreSQL, its worker woken by LISTEN/NOTIFY."""

import os

import procrastinate
import psycopg

from bench.queues import effects

URL = os.environ["DATABASE_URL"]
LEFT = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL))
_connection = psycopg.connect(URL, autocommit=True)
_open: list[procrastinate.App] = []


@app.task(name="no_op")
def no_op(number: int) -> None:
    effects.no_op(number)


@app.task(name="slow")
def slow(number: int) -> None:
    effects.slow(number)


@app.task(name="parent")
async def parent(number: int) -> None:
    effects.no_op(number)
    for _ in range(3):
        await no_op.defer_async(number=number)


def prepare() -> None:
    with app.open():
        app.schema_manager.apply_schema()


def work() -> None:
    app.run_worker()


def submit(kind: str, number: int) -> None:
    if not _open:
        _open.append(app.open())
    app.configure_task(kind).defer(number=number)


def left() -> int:
    found = _connection.execute(LEFT).fetchone()
    return int(found[0]) if found else 0
