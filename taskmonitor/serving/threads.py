"""A fixed number of threads that live as long as the server, and so do their database connections."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Semaphore, Thread
from time import monotonic
from typing import Any, TypeVar

from django.db import connections

PATIENCE = 0.02  # seconds that one function may hold up the others
LATER = 4  # the turns of which one is for those that may come later
LAST = 1  # second in which the last functions may end; what hangs then ends with the process

Result = TypeVar("Result")
Future = asyncio.Future[Any]
Job = tuple[Future, Callable[[], Any]]


class Lanes:
    """A queue of two lanes. Of those that may come later one is taken after some of the others."""

    def __init__(self) -> None:
        self._first, self._later = SimpleQueue[Job | None](), SimpleQueue[Job | None]()
        self._all = SimpleQueue[None]()  # one for each that is in a lane
        self._taken = 0

    def put(self, job: Job | None, *, later: bool) -> None:
        (self._later if later else self._first).put(job)
        self._all.put(None)

    def get(self) -> Job | None:
        """The next one, waited for."""
        self._all.get()
        self._taken += 1
        lanes = [self._first, self._later]
        if self._taken % LATER == 0:
            lanes.reverse()
        while True:  # some lane has one, whoever else takes from them meanwhile
            for lane in lanes:
                with suppress(Empty):
                    return lane.get_nowait()

    def empty(self) -> bool:
        return self._all.empty()


class Threads:
    """Runs functions for an event loop, first come first served; the threads start with the first one.

    Those that may come `later` leave most turns to the others, while there are any.

    Some run `at_once`, beside those that take long, each in a thread of its own: threads take Python's lock
    from each other at each statement, which costs more than they gain unless they have to wait.
    """

    def __init__(self, name: str, size: int, *, at_once: int | None = None) -> None:
        self._name = name
        self._size = size
        self._may_run = Semaphore(at_once or size)
        self._turns: dict[object, float] = {}  # when each began, of those that do not take long
        self._is_watched = False
        self._jobs = Lanes()
        self._threads: list[Thread] = []
        self._starting = Lock()

    async def run(self, function: Callable[[], Result], *, later: bool = False) -> Result:
        """The function's result or exception. One that has begun is not stopped by a cancellation."""
        if not self._threads:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._jobs.put((future, function), later=later)
        if not self._is_watched:
            self._is_watched = True
            loop.call_later(PATIENCE, self._watch, loop)
        return await future

    def stop(self) -> None:
        """End the threads when they have done what is queued, each closing its connections; not wait for long."""
        for _ in self._threads:
            self._jobs.put(None, later=True)
        until = monotonic() + LAST
        for thread in self._threads:
            thread.join(max(until - monotonic(), 0))
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
        self._may_run.acquire()
        while job := self._jobs.get():
            future, function = job
            if future.cancelled():
                continue
            turn = object()
            self._turns[turn] = monotonic()
            loop = future.get_loop()
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - whoever awaits the future gets it
                loop.call_soon_threadsafe(_fail, future, error)
            else:
                loop.call_soon_threadsafe(_succeed, future, result)
            del job, future, function  # an idle thread keeps no request alive
            if not self._end(turn):
                self._may_run.acquire()
        self._may_run.release()
        connections.close_all()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let a thread more go on for each function that takes long."""
        late = monotonic() - PATIENCE
        for turn, began in self._turns.copy().items():
            if began < late and self._end(turn):
                self._may_run.release()
        self._is_watched = bool(self._turns) or not self._jobs.empty()
        if self._is_watched:
            loop.call_later(PATIENCE, self._watch, loop)

    def _end(self, turn: object) -> bool:
        """Whether this has ended it: a turn ends with its function or once that takes long, whichever is first."""
        return self._turns.pop(turn, None) is not None


def _succeed(future: Future, result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: Future, error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
