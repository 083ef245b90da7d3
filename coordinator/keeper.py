"""Keeps what a worker holds while it works on it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread

from django.conf import settings
from django.db import Error, connection

from coordinator.commits import committing
from coordinator.lease import Lease, Superseded

logger = logging.getLogger(__name__)


@contextmanager
def keeping(leases: Sequence[Lease], clock: Callable[[], datetime]) -> Iterator[None]:
    """Within it the leases are renewed at a third of their time, beside whatever is done.

    Who sleeps for longer than that, because it was stopped, loses them.
    """
    done = Event()
    keeper = Thread(target=_keep, args=(leases, clock, done), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _keep(leases: Sequence[Lease], clock: Callable[[], datetime], done: Event) -> None:
    third = settings.COMMAND_LEASE.total_seconds() / 3
    renewed = False
    while not done.wait(third):
        renewed = True
        try:
            with committing("renew"):
                for lease in leases:
                    _renew(lease, clock())
        except Error as error:
            logger.warning("What is held cannot be renewed: %s", str(error).strip())
            connection.close()
    if renewed:
        connection.close()


def _renew(lease: Lease, now: datetime) -> None:
    if lease.row.lease_until is None:
        return  # it was let go of
    try:
        lease.renew(now)
    except Superseded:
        logger.info("Command id=%s was taken over", lease.row.pk)
