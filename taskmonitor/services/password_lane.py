"""Where passwords are checked: one at a time, for a hash takes a core, while few others wait, for each holds a thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock

from django.conf import settings

from taskmonitor.errors import TooManyAttempts
from taskmonitor.metrics import LOGINS_REFUSED

PLACES = 4  # as many of the server's threads at most; half of them if these are few
FULL = timedelta(seconds=2)  # in which a full lane has emptied


class PasswordLane:
    """Refuses at once whom it has no place for.

    One address gets half of the places, and all strangers leave one to who has logged in from there before: that
    one is let through an attack from many addresses. Nobody who is known fills the lane from one address either.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._inside: list[tuple[str, bool]] = []  # from where, and whether it took what strangers leave
        self._entering = Lock()
        self._hashing = Lock()

    @contextmanager
    def turn(self, network: str, is_known: Callable[[], bool]) -> Iterator[None]:
        """This thread alone checks a password, once it is its turn; TooManyAttempts if the lane is full."""
        with self.place(network, is_known), self._hashing:
            yield

    @contextmanager
    def place(self, network: str, is_known: Callable[[], bool]) -> Iterator[None]:
        """A place in the lane, where the turn may be waited for."""
        place = (network, False)
        if not self._enter(place):
            place = (network, True)
            if not (is_known() and self._enter(place)):
                LOGINS_REFUSED.labels("busy").inc()
                raise TooManyAttempts(FULL)
        try:
            yield
        finally:
            with self._entering:
                self._inside.remove(place)

    def _enter(self, place: tuple[str, bool]) -> bool:
        network, known = place
        some = max(self._places - 1, 1)
        with self._entering:
            of_network = sum(other == network for other, _ in self._inside)
            strangers = sum(not other for _, other in self._inside)
            is_free = len(self._inside) < self._places and (
                of_network < some if known else of_network < max(self._places // 2, 1) and strangers < some
            )
            if is_free:
                self._inside.append(place)
            return is_free


lane = PasswordLane(max(min(PLACES, settings.THREADS // 2), 1))
