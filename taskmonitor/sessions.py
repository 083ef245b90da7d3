"""Where sessions are kept: the database."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError

from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.services.transaction import writing


class SessionStore(db.SessionStore):
    """Django's, except that a cookie with anything but a key is none: PostgreSQL would crash on a NUL in it."""

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
        return bool(key and key.isascii() and key.isalnum())
