"""Where the jobs that seed.py makes stand: by number, without Django."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

FIRST = datetime(2026, 1, 1, tzinfo=UTC)  # the start time of job 0; each next one starts a second later


def job_id(number: int) -> str:
    return str(UUID(f"{number * 2654435761 % 4294967296:08x}{number:024x}"))


def cursor_at(number: int) -> str:
    """The API's cursor right behind that job."""
    time = FIRST + timedelta(seconds=number)
    return urlsafe_b64encode(f"{time.isoformat()} {job_id(number)}".encode()).decode()
