"""What belongs to an account beside its rights: where it is logged in, and whether its password must be changed."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models


class Session(AbstractBaseSession):
    """A login in a browser. It ends with `expire_date`: when it is idle for long, or has lasted for long."""

    user = models.ForeignKey(  # without constraint: Django tries again for ever if a new session breaks one
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="sessions",
        db_constraint=False,
    )
    began = models.DateTimeField()
    last_used = models.DateTimeField()
    last_used_from = models.GenericIPAddressField(null=True)

    class Meta:
        verbose_name = "session"

    def __str__(self) -> str:
        """Without its key, which would open it to whoever reads this."""
        return f"session since {self.began:%Y-%m-%d %H:%M}"

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
        return store


class TemporaryPassword(models.Model):
    """The user's password was chosen by somebody else, and is to be changed before anything else is done with it."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="temporary_password",
    )
    given = models.DateTimeField()

    def __str__(self) -> str:
        return f"given {self.given}"
