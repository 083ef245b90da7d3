"""Celery on Redis: a message is given up once its task has ended (acks_late); results are kept there too."""

import os

from celery import Celery

from bench.queues import effects

URL = f"redis://127.0.0.1:{os.environ['BENCH_REDIS']}"

app = Celery("bench", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)


@app.task
def no_op(number: int) -> None:
    effects.no_op(number)


@app.task
def slow(number: int) -> None:
    effects.slow(number)


@app.task
def parent(number: int) -> None:
    effects.no_op(number)
    for _ in range(3):
        no_op.delay(number)


def prepare() -> None:
    """There is nothing to do."""


def work() -> None:
    app.worker_main(["worker", "--loglevel=WARNING"])


def submit(kind: str, number: int) -> None:
    {"no_op": no_op, "slow": slow, "parent": parent}[kind].delay(number)


def left() -> int:
    with app.connection_for_read() as connection:
        redis = connection.default_channel.client
        return int(redis.llen("celery")) + int(redis.hlen("unacked"))
