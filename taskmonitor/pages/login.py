"""Logging in to pages and admin, by the same check of a password as everywhere else."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone

from taskmonitor.errors import LoginRefused, TooManyAttempts
from taskmonitor.services.login import verified


class PasswordBackend(ModelBackend):
    """Django's, except that guessing is slowed down as for the API; it then refuses right passwords too."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        address = (request and request.META.get("REMOTE_ADDR")) or ""
        try:
            return verified(name=username, password=password, address=address, now=timezone.now())
        except (LoginRefused, TooManyAttempts):
            return None
