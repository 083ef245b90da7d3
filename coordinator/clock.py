"""Notices when the machine's clock is set, so that this neither stops commands nor tears living workers' ones."""

from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db import connection
from django.utils import timezone

LEAST = timedelta(seconds=1)  # a smaller step is only waited for


AGAIN = 60.0  # seconds until the database is asked for the time once more


class DatabaseClock:
    """The time by the database, which is one for all hosts: on PostgreSQL it is asked, on SQLite it is this machine's."""

    def __init__(self) -> None:
        self._known: datetime | None = None
        self._asked = 0.0

    def __call__(self) -> datetime:
        """The present time."""
        if connection.vendor == "sqlite":
            return timezone.now()
        if self._known is None or monotonic() - self._asked > AGAIN:
            with connection.cursor() as cursor:
                cursor.execute("SELECT clock_timestamp()")
                (self._known,) = cursor.fetchone()
            self._asked = monotonic()
        assert self._known  # noqa: S101 - for the type checker
        return self._known + timedelta(seconds=monotonic() - self._asked)


class Clock:
    """What one process knows of the clock, from looks at it beside one that nobody can set."""

    def __init__(self, now: datetime) -> None:
        self._origin = _origin(now)
        self._forward = timedelta(0)  # by how much it was set forward of late
        self._renewed = 0.0  # when all who live will have renewed their leases since

    def was_set_back(self, now: datetime) -> bool:
        """Look; whether it was set back since the last look."""
        origin = _origin(now)
        step, self._origin = origin - self._origin, origin
        if step >= LEAST:
            self._forward += step
            self._renewed = monotonic() + settings.COMMAND_LEASE.total_seconds()
        return step <= -LEAST

    def leases_at(self, now: datetime) -> datetime:
        """The time to judge leases by: for the length of one lease the one from before the clock was set forward."""
        if monotonic() >= self._renewed:
            self._forward = timedelta(0)
        return now - self._forward


def _origin(now: datetime) -> datetime:
    return now - timedelta(seconds=monotonic())
