"""A command that misbehaves in any way that it is told to."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from threading import Thread
from typing import Any

from django.db import connection, transaction
from pydantic import BaseModel

from coordinator.command import RUNNING, Answer, Failed, Succeeded
from coordinator.registry import register
from tests.faults.commands import Parented, Proof, Work


class Way(Work):
    """Which way it misbehaves, in which of its methods."""

    how: str
    where: str = "execute"


class Big(Proof):
    filling: str = ""


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _exit() -> None:
    os._exit(0)


def _hold_the_gil() -> None:
    sum(range(10**9))  # in C, without a look at signals or at who else wants to run


def _swallow() -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(BaseException):
            time.sleep(0.2)


def _hang() -> None:
    time.sleep(60)


def _fork() -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)"])


def _leave_threads() -> None:
    for _ in range(5):
        Thread(target=time.sleep, args=(3,), daemon=True).start()


def _close() -> None:
    connection.close()


def _leave_a_transaction_open() -> None:
    transaction.Atomic(None, True, False).__enter__()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _flood() -> None:
    for _ in range(2000):
        os.write(1, b"x" * 1000)


def _eat() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (600_000_000, before[1]))
    try:
        bytearray(1_000_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _raise() -> None:
    raise RuntimeError("it was to raise")


def _raise_base() -> None:
    raise SystemExit("it was to leave")


def _ignore_stop() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


WAYS: dict[str, Callable[[], object]] = {
    name.removeprefix("_"): way
    for name, way in list(globals().items())
    if name.startswith("_") and not name.startswith("__") and callable(way)
}


@register("faults.Beast", time_limit=timedelta(seconds=1.5), result_class=Big)
class Beast(Parented):
    """Misbehave."""

    parameters_class: type[BaseModel] = Way
    parameters: Any

    def _misbehave(self, where: str) -> None:
        if self.parameters.where == where:
            WAYS[self.parameters.how]()

    def validate(self) -> None:
        if self.row_is_known():
            self._misbehave("validate")

    def row_is_known(self) -> bool:
        """Whether a worker runs it, not who submits it."""
        return hasattr(self.engine, "row")

    def execute(self) -> Any:
        self.effect("execute")
        self._misbehave("execute")
        self.effect("executed")
        return None

    def poll(self) -> Answer:
        self.effect("poll")
        self._misbehave("poll")
        if self.row.polls < self.parameters.times:
            return RUNNING
        if self.parameters.how == "answer 5 MB":
            return Succeeded(Big(of=self.command_id.hex, filling="x" * 5_000_000))
        return Failed("it was to fail") if self.parameters.fails else Succeeded(Big(of=self.command_id.hex))

    def end_successfully(self) -> None:
        self.effect("end_successfully")
        self._misbehave("end")
        self.effect("ended_successfully")
