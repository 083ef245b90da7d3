"""Much work in short transactions, between which others write: whoever waits for one of them hardly notices."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from django.db.models import QuerySet

from taskmonitor.services.transaction import writing

AIM = 0.02  # seconds that a transaction is to take; on a busy machine it may take twice as long
REST = 3.0  # times as long as a transaction took, for others; SQLite's lock goes to who asks first, not to who waits
FIRST, MOST = 100, 5000  # rows


class Portions:
    """As many rows in a transaction as the time allows, until the time of all of them is over."""

    def __init__(self, seconds: float) -> None:
        self.size = FIRST
        self._until = monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether there is no time for another one."""
        return monotonic() > self._until

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One for at most `size` rows; afterwards nothing is written for a while."""
        with writing():
            begun = monotonic()
            yield
        took = monotonic() - begun
        if took > AIM:
            self.size = max(int(self.size * AIM / took), 1)
        elif took < AIM / 2:
            self.size = min(self.size * 2, MOST)
        sleep(min(took * REST, max(self._until - monotonic(), 0)))

    def delete(self, rows: QuerySet[Any]) -> None:
        """Delete them all, or as many as there is time for."""
        while not self.over:
            with self.transaction():
                deleted = delete_first(rows, self.size)
            if not deleted:
                return


def delete_first(rows: QuerySet[Any], most: int) -> int:
    """Delete the first so many of the rows, in their order; how many there were."""
    keys: list[Any] = list(rows.values_list("pk", flat=True)[:most])
    rows.model._default_manager.filter(pk__in=keys).delete()
    return len(keys)
