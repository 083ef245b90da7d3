"""Where sessions are kept: the database."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Django's, except that a cookie with anything but a key is none: PostgreSQL would crash on a NUL in it."""

    def _validate_session_key(self, key: str | None) -> bool:
        return bool(key and key.isascii() and key.isalnum())
