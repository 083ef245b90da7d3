"""What one worker has in hand, and a thread that looks after it while the worker is busy."""

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread

from django.conf import settings
from django.db import Error, connection

from coordinator.commits import committing
from coordinator.lease import Lease, Superseded, release_polled

logger = logging.getLogger(__name__)

SLICE = 1.0  # seconds after which a worker gives back what it has not begun
TOGETHER = 0.05  # of their delay: polls due within it are due at once, for many cost little more than one


class Hand:
    """Claimed commands: those that wait for their turn, and those that were begun and are still held."""

    def __init__(self, leases: Sequence[Lease], clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._waiting, self._begun = deque(leases), list[Lease]()
        self._polled: dict[int, list[Lease]] = defaultdict(list)
        self._lock = Lock()

    def __iter__(self) -> Iterator[Lease]:
        """Each command in its turn, unless it was given back meanwhile."""
        while True:
            with self._lock:
                if not self._waiting:
                    return
                self._begun.append(lease := self._waiting.popleft())
            yield lease

    def poll_again(self, lease: Lease, seconds: int) -> None:
        """Let go of a command that is still running, some time soon; if that is lost it is polled again at once."""
        with self._lock:
            self._polled[seconds].append(lease)

    def let_go(self) -> None:
        """Let go, in one commit, of all commands that are to be polled again."""
        with self._lock:
            polled, self._polled = self._polled, defaultdict(list)
        if polled:
            now = self._clock()
            with committing("polls"):
                for seconds, leases in polled.items():
                    release_polled(leases, due_at=_due(now, seconds), poll_delay=seconds)

    def give_back(self) -> None:
        """Let others have what was not begun."""
        with self._lock:
            rest = list(self._waiting)
            self._waiting.clear()
        if rest:
            with committing("give-back"):
                for lease in rest:
                    with suppress(Superseded):
                        lease.release(self._clock())

    def renew(self) -> None:
        """Hold what was begun, and not let go of, for longer."""
        with self._lock:
            held = [lease for lease in self._begun if lease.row.lease_until is not None]
        with committing("renew"):
            for lease in held:
                try:
                    lease.renew(self._clock())
                except Superseded:
                    logger.info("Command id=%s was taken over", lease.row.pk)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within it nothing in hand waits behind a command that takes long, and that one stays ours.

        Who sleeps for longer than a lease, because it was stopped, loses what it held.
        """
        done = Event()
        keeper = Thread(target=self._keep, args=(done,), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()

    def _keep(self, done: Event) -> None:
        if done.wait(SLICE):
            return
        third = settings.COMMAND_LEASE.total_seconds() / 3
        try:
            while True:
                with _database():
                    self.give_back()
                    self.let_go()
                    self.renew()
                if done.wait(third):
                    return
        finally:
            connection.close()


def _due(now: datetime, delay: int) -> datetime:
    """When to poll again: after the delay, or so little sooner that others are due at the same instant."""
    slot, due = delay * TOGETHER, now + timedelta(seconds=delay)
    return datetime.fromtimestamp(due.timestamp() // slot * slot, UTC)


@contextmanager
def _database() -> Iterator[None]:
    try:
        yield
    except Error as error:
        logger.warning("What is held cannot be looked after: %s", str(error).strip())
        connection.close()
