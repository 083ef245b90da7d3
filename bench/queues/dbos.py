"""DBOS Transact: workflows of a queue that is looked at each 50 ms; its default of a second is slower yet."""

import os
import time

import sqlalchemy
from dbos import DBOS, DBOSClient

from bench.queues import effects

QUEUE = "bench"
URL = os.environ.get("DATABASE_URL", "").replace("postgres://", "postgresql+psycopg://") or (
    f"sqlite:///{os.environ['TASKMONITOR_DATA']}/dbos.sqlite3"
)
TABLE = "dbos.workflow_status" if "postgresql" in URL else "workflow_status"
LEFT = sqlalchemy.text(f"SELECT count(*) FROM {TABLE} WHERE status IN ('ENQUEUED', 'PENDING')")

_clients: list[DBOSClient] = []
_engine = sqlalchemy.create_engine(URL)


@DBOS.workflow()
def no_op(number: int) -> None:
    effects.no_op(number)


@DBOS.workflow()
def slow(number: int) -> None:
    effects.slow(number)


@DBOS.workflow()
def parent(number: int) -> None:
    effects.no_op(number)
    for _ in range(3):
        DBOS.enqueue_workflow(QUEUE, no_op, number)


def prepare() -> None:
    _launch()
    DBOS.destroy()


def work() -> None:
    _launch()
    while True:
        time.sleep(60)


def submit(kind: str, number: int) -> None:
    if not _clients:
        _clients.append(DBOSClient(system_database_url=URL))
    workflow = {"no_op": no_op, "slow": slow, "parent": parent}[kind]
    _clients[0].enqueue({"queue_name": QUEUE, "workflow_name": workflow.__qualname__}, number)


def left() -> int:
    with _engine.connect() as connection:
        return int(connection.execute(LEFT).scalar_one())


def _launch() -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": URL,
            "log_level": "WARNING",
            "application_version": "1",
            "executor_id": "bench",
        }
    )
    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=0.05)
