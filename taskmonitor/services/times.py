"""Which instants can be kept, on every database."""

from datetime import UTC, datetime

from taskmonitor.errors import Invalid


def later(field: str, time: datetime | None, now: datetime) -> datetime | None:
    """The time in UTC; Invalid if it is not in the future, or beyond what a database can keep."""
    if time is None:
        return None
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        raise Invalid(field, "is beyond the year 9999.") from None
    if time <= now:
        raise Invalid(field, "must be in the future.")
    return time
