"""Who asks: a bearer token, or a user name and password with every request."""

import base64

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone
from rest_framework import authentication
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from taskmonitor.errors import PasswordExpired
from taskmonitor.selectors.access import valid_token
from taskmonitor.services.access import note_use
from taskmonitor.services.accounts import refuse_expired_password
from taskmonitor.services.login import verified
from taskmonitor.services.login_record import note_password_use
from taskmonitor.sessions import PASSWORD_FIRST

CHALLENGE = 'Basic realm="Task Monitor", charset="UTF-8"'


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer …`; the token's scope goes along as `request.auth`."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        secret = _credentials(request, "bearer")
        if secret is None:
            return None
        now = timezone.now()
        token = valid_token(secret, now)
        if token is None:
            raise AuthenticationFailed("The token is unknown, revoked or expired.")
        note_use(token=token, address=address(request), now=now)
        return token.user, token.scope


class PasswordAuthentication(BaseAuthentication):
    """HTTP Basic. The user stands at the request too, for who prefers a session (api/persistent.py)."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        given = name_and_password(request)
        if given is None:
            return None
        name, password = given
        now, place = timezone.now(), address(request)
        user = verified(name=name, password=password, address=place, now=now)
        refuse_expired_password(user, now)
        note_password_use(user, place, now)
        request._request.password_user = user  # type: ignore[attr-defined]
        return user, None


class SessionAuthentication(authentication.SessionAuthentication):
    """The cookie of a page; of no use before its user has changed a password that somebody else chose."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        found = super().authenticate(request)
        if found and request.session.get(PASSWORD_FIRST):
            raise PasswordExpired(PasswordExpired.__doc__)
        return found


def name_and_password(request: HttpRequest | Request) -> tuple[str, str] | None:
    """The name and the password of a Basic Authorization header, None for another one; AuthenticationFailed if it cannot be decoded."""
    encoded = _credentials(request, "basic")
    if encoded is None:
        return None
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        raise AuthenticationFailed("The Authorization header is not Basic as RFC 7617 has it.") from None
    return name, password


def address(request: HttpRequest | Request) -> str:
    """The address that the request came from; empty if it came through a local socket."""
    found: str = request.META.get("REMOTE_ADDR") or ""
    return found


def _credentials(request: HttpRequest | Request, wanted: str) -> str | None:
    """What the Authorization header has behind the wanted scheme; None if it has another one."""
    scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credentials.strip() if scheme.lower() == wanted else None
