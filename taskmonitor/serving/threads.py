"""A fixed number of threads that live as long as the server, and so do their database connections."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, TypeVar

from django.db import connections

PATIENCE = 0.02  # seconds that one function may hold up the others

Result = TypeVar("Result")
Future = asyncio.Future[Any]


class Threads:
    """Runs functions for an event loop, first come first served; the threads start with the first one.

    By turns one runs at a time, beside those that take long: threads take Python's lock from each other at
    each statement of SQLite, which costs more than they gain while none has to wait.
    """

    def __init__(self, name: str, size: int, *, by_turns: bool = False) -> None:
        self._name = name
        self._size = size
        self._turn = Lock() if by_turns else None
        self._turn_began = 0.0
        self._jobs: SimpleQueue[tuple[Future, Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._starting = Lock()

    async def run(self, function: Callable[[], Result]) -> Result:
        """The function's result or exception. One that has begun is not stopped by a cancellation."""
        if not self._threads:
            self._start()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._jobs.put((future, function))
        return await future

    def stop(self) -> None:
        """End the threads when they have done what is queued, each closing its connections."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _start(self) -> None:
        with self._starting:
            if self._threads:
                return
            threads = [Thread(target=self._work, name=f"{self._name}-{n}") for n in range(self._size)]
            for thread in threads:
                thread.daemon = True
                thread.start()
            self._threads = threads

    def _work(self) -> None:
        while job := self._jobs.get():
            future, function = job
            if future.cancelled():
                continue
            loop = future.get_loop()
            try:
                result = self._in_turn(function)
            except BaseException as error:  # noqa: BLE001 - whoever awaits the future gets it
                loop.call_soon_threadsafe(_fail, future, error)
            else:
                loop.call_soon_threadsafe(_succeed, future, result)
            del job, future, function  # an idle thread keeps no request alive
        connections.close_all()

    def _in_turn(self, function: Callable[[], Result]) -> Result:
        turn = self._turn
        while turn and not turn.acquire(timeout=PATIENCE):
            if turn is self._turn and monotonic() - self._turn_began > PATIENCE:
                self._turn = Lock()  # whoever takes long keeps the old one
            turn = self._turn
        if turn is None:
            return function()
        self._turn_began = monotonic()
        try:
            return function()
        finally:
            turn.release()


def _succeed(future: Future, result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: Future, error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
