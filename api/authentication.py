"""Who asks: a bearer token, or a user name and password with every request."""

import base64
import binascii
import hmac
import threading
import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from taskmonitor.models import AccessToken
from taskmonitor.services.access import digest

CHALLENGE = 'Basic realm="Task Monitor"'
PROFILE = "@internal"  # oVirt's clients write admin@internal; the profile is no part of our names
REMEMBERED_FOR = 300  # seconds
MOST_FAILURES = 20  # a minute, of one name from one address
NOTED_AFTER = timedelta(minutes=1)  # how far a token's last use may lag

_remembered: dict[bytes, float] = {}
_hashing = threading.Lock()


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer …`; the token's scope goes along as `request.auth`."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        now = timezone.now()
        token = AccessToken.objects.select_related("user").filter(digest=digest(secret.strip())).first()
        if token is None or (token.expires and token.expires <= now) or not token.user.is_active:
            raise AuthenticationFailed("The token is unknown, revoked or expired.")
        _note_use(token, request, now)
        return token.user, token.scope

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class PasswordAuthentication(BaseAuthentication):
    """HTTP Basic."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        scheme, _, encoded = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise AuthenticationFailed("The Authorization header is not Basic as RFC 7617 has it.") from None
        return verified(request, name, password), None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def verified(request: HttpRequest | Request | Any, name: str, password: str) -> User:
    """The active user with that name and password, or AuthenticationFailed; Throttled after many failures.

    A password that was right is remembered for minutes as a keyed hash bound to the stored one, so that a
    change of password, or of the user, counts at once and a check does not cost 0.2 s of CPU each time.
    """
    users = {user.get_username(): user for user in User.objects.filter(username__in=_names(name))}
    user = next((users[known] for known in _names(name) if known in users), None)
    if user and user.is_active and _remembered.get(_key(user, password), 0) > time.monotonic():
        return user
    counter = f"login-failures:{request.META.get('REMOTE_ADDR', '')}:{hmac.new(b'', name.encode(), 'sha256').hexdigest()}"
    if cache.get(counter, 0) >= MOST_FAILURES:
        raise Throttled(60, "Too many wrong passwords; wait a minute.")
    if not _right(user, password) or user is None or not user.is_active:
        cache.add(counter, 0, 60)
        cache.incr(counter)
        raise AuthenticationFailed("The user name or password is wrong.")
    return user


def _names(name: str) -> list[str]:
    return [name.replace("\0", ""), name.replace("\0", "").removesuffix(PROFILE)]


def _right(user: User | None, password: str) -> bool:
    with _hashing:  # many first requests at once cost one check, and guessing costs one core at most
        if user is None:
            make_password(password)  # as long as for a known name
            return False
        key = _key(user, password)
        if _remembered.get(key, 0) > time.monotonic():
            return True
        if not user.check_password(password):
            return False
        if len(_remembered) > 10_000:
            _remembered.clear()
        _remembered[_key(user, password)] = time.monotonic() + REMEMBERED_FOR
        return True


def _key(user: User, password: str) -> bytes:
    return hmac.digest(
        settings.SECRET_KEY.encode(), f"{user.pk}\0{user.password}\0{password}".encode(), "sha256"
    )


def _note_use(token: AccessToken, request: Request, now: datetime) -> None:
    if token.last_used is None or now - token.last_used > NOTED_AFTER:
        used = AccessToken.objects.filter(pk=token.pk)
        used.update(last_used=now, last_used_from=request.META.get("REMOTE_ADDR") or None)
