"""Sessions of oVirt's programs: one that asks with a password and `Prefer: persistent-auth` gets a cookie that stands for it.

A session ends as an engine's: when it is idle for long, and with the first request that does not prefer it any more.
It ends as our other logins do, too: after LOGIN_TOKEN_LIFE, with the password, and with the account.

No page of a browser can use the cookie, so it needs no token against forged forms. Browsers send it to no other
site's pages (`SameSite=Strict`), and no script reads it (`HttpOnly`). What a page makes them send says so, by `Origin` or
`Sec-Fetch-Site`, and then it does not count, wherever the page is from. A secret is always made here: one
that came in a cookie becomes no session, and somebody else's is replaced by that of whose password came with it.
"""

import logging
import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from api.authentication import address
from taskmonitor.selectors.access import valid_session
from taskmonitor.services.access import SESSION_IDLE, add_session, end_session, note_use

logger = logging.getLogger(__name__)

NAME = "JSESSIONID"  # as oVirt's clients know it
_PREFERRED = re.compile(r"(?:^|,)\s*persistent-auth\s*(?:[,;]|$)", re.IGNORECASE)
_OF_BROWSERS = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE")


class PersistentAuthentication(BaseAuthentication):
    """The cookie, from a program."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        now = timezone.now()
        token = valid_session(_secret(request), now)
        if token is None:
            return None
        note_use(token=token, address=address(request), now=now, idle=SESSION_IDLE)
        return token.user, token.scope


def keep(request: HttpRequest, response: HttpResponseBase) -> None:
    """Give the program that asked a session if it prefers one, and end the one that it has if it does not.

    Without a database it goes on without.
    """
    try:
        _keep(request, response)
    except Error as problem:
        logger.debug("No session was kept: %s", problem)


def _keep(request: HttpRequest, response: HttpResponseBase) -> None:
    secret, path = _secret(request), _path(request)
    user: User | None = getattr(request, "password_user", None)
    if _PREFERRED.search(request.META.get("HTTP_PREFER", "")):
        if user is None:
            return
        now = timezone.now()
        session = valid_session(secret, now)
        if session is None or session.user_id != user.pk:
            made = add_session(user_id=user.pk, address=address(request), now=now)
            secure = settings.SESSION_COOKIE_SECURE
            response.set_cookie(NAME, made, path=path, secure=secure, httponly=True, samesite="Strict")
    elif valid_session(secret, timezone.now()):
        end_session(secret)
        response.delete_cookie(NAME, path=path, samesite="Strict")


def _secret(request: HttpRequest | Request) -> str:
    """What the cookie has; nothing if a page of a browser may have had it sent."""
    if any(name in request.META for name in _OF_BROWSERS):
        return ""
    secret: str = request.COOKIES.get(NAME, "")
    return secret


def _path(request: Any) -> str:
    """Where the cookie is for: the API, by the address at which it was asked."""
    return "/ovirt-engine/api" if request.wire.base.startswith("/ovirt-engine") else "/api"
