"""The event feed: appended in the writer's transaction, read in commit order.

A reader that has seen position N never misses a later commit with a smaller position. SQLite has one
writer at a time, so the order of insertion is that of commits. On PostgreSQL a position is taken before
the commit; a lock held from there to the end of the transaction makes the two orders one
(docs/decisions/0002-commit-order.md).
"""

import logging
from collections.abc import Callable, Sequence
from itertools import count
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from taskmonitor.models import Event, FeedHorizon
from taskmonitor.statements import insert

logger = logging.getLogger(__name__)

_listeners: dict[int, Callable[[], None]] = {}
_tickets = count()


def append(*events: Event) -> None:
    """Record what happened; the last statement of a service."""
    insert(*events)
    transaction.on_commit(_wake)


def read(*, after: int, limit: int) -> list[Event]:
    """The next events behind `after`, oldest first, each with its job."""
    return list(Event.objects.filter(position__gt=after).select_related("job").order_by("position")[:limit])


def last() -> int:
    """The position of the newest event; 0 if there is none."""
    return Event.objects.aggregate(last=Max("position"))["last"] or 0


def lost(after: int) -> bool:
    """Whether a reader that has seen `after` may have missed events: they are gone, or were never here."""
    horizon = FeedHorizon.objects.values_list("position", flat=True).first() or 0
    return after > 0 and not horizon <= after <= max(horizon, last())


def forget(jobs: Sequence[UUID]) -> None:
    """Take note, before events of these jobs are deleted, that readers which have not seen them are too late."""
    newest = Event.objects.filter(job__in=jobs).aggregate(last=Max("position"))["last"] or 0
    horizon, _ = FeedHorizon.objects.select_for_update().get_or_create(pk=1, defaults={"position": newest})
    if horizon.position < newest:
        FeedHorizon.objects.filter(pk=1).update(position=newest)


def listen(wake: Callable[[], None]) -> Callable[[], None]:
    """Call `wake` after each commit of this process that appended; the answer ends it.

    Commits of other processes wake nobody: a listener looks at `last()` now and then as well.
    """
    ticket = next(_tickets)
    _listeners[ticket] = wake

    def stop() -> None:
        _listeners.pop(ticket, None)

    return stop


def _wake() -> None:
    for wake in list(_listeners.values()):
        try:
            wake()
        except Exception:  # the write is committed, and the other listeners wait
            logger.exception("A listener of the feed failed")
