"""Where sessions are kept: in the database, with whose they are and when and from where they were last used."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.utils import timezone

from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.models import Session
from taskmonitor.services.access import known_address
from taskmonitor.services.transaction import note, writing

NOTED_AFTER = timedelta(minutes=1)  # how far a session's last use may lag
BEGAN = "began"  # seconds since 1970
PASSWORD_FIRST = "password_first"  # noqa: S105 - whether the password must be changed before anything else


class SessionStore(db.SessionStore):
    """Django's, for sessions that end after a time, and sooner if they are idle (SESSION_LIFE, SESSION_IDLE)."""

    address = ""  # where the request came from; the middleware says it
    last_used: datetime | None = None  # as the database has it, of a session that was read from there

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def load(self) -> dict[str, Any]:
        row = self._get_session_from_db()  # type: ignore[attr-defined]  # Django's own, but not told to type checkers
        data = self.decode(row.session_data) if row else {}
        if data:  # there is nothing in a session of another SECRET_KEY
            self.last_used = row.last_used
        return data

    def create_model_instance(self, data: Any) -> Session:
        now = timezone.now()  # noqa: TID251 - Django gives no time
        data.setdefault(BEGAN, now.timestamp())
        row = cast(Session, super().create_model_instance(data))
        row.user_id = data.get(SESSION_KEY)
        row.began = datetime.fromtimestamp(data[BEGAN], UTC)
        row.last_used, row.last_used_from = now, known_address(self.address)
        row.expire_date = _end(row.began, now)
        return row

    def note_use(self, now: datetime) -> None:
        """Keep when and from where it was last used, to the minute. One that is saved in this request anyway has that."""
        if self.modified or self.last_used is None:
            return
        if self.last_used <= now < self.last_used + NOTED_AFTER:
            return
        used = Session.objects.filter(pk=self.session_key)
        end = _end(datetime.fromtimestamp(self[BEGAN], UTC), now)
        address = known_address(self.address)
        note(lambda: used.update(last_used=now, last_used_from=address, expire_date=end))

    def save(self, must_create: bool = False) -> None:
        """As Django, which takes a database that cannot be written to for a session that somebody has deleted."""
        try:
            with writing():
                super().save(must_create)
        except UpdateError as error:
            problem = error.__context__
            if problem is not None and is_database_trouble(problem):
                raise problem from problem.__cause__
            raise

    def _validate_session_key(self, key: str | None) -> bool:
        """A cookie with anything but a key is none: PostgreSQL would crash on a NUL in it."""
        return bool(key and key.isascii() and key.isalnum())


def _end(began: datetime, last_used: datetime) -> datetime:
    life: timedelta = settings.SESSION_LIFE
    idle: timedelta = settings.SESSION_IDLE
    return min(began + life, last_used + idle)
