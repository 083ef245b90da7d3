"""Middleware that only a browser needs: a program that asks the API without a cookie passes it by.

Such a request has no session, form, message or page; to find that out in each of them takes as long as
all the statements of a write.
"""

import re
from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import redirect
from django.utils import timezone
from django_htmx.middleware import HtmxMiddleware

from taskmonitor.sessions import PASSWORD_FIRST


class _ForBrowsers:
    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if getattr(request, "by_program", False):  # ApiMiddleware says so
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]


class Policy(_ForBrowsers, CSPMiddleware):
    """Content-Security-Policy; and no browser keeps what does not say that it may, such as the page of an error."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        response.headers.setdefault("Cache-Control", "no-store")
        return super().process_response(request, response)


class Sessions(_ForBrowsers, SessionMiddleware):
    """Django's sessions, which know from where they are used and when: by a person, not by a page that is only open."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        session: Any = request.session
        session.address = request.META.get("REMOTE_ADDR", "")

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        session: Any = request.session
        if not _by_itself(request, response):
            session.note_use(timezone.now())
        response = super().process_response(request, response)
        if session.is_empty() and request.COOKIES.get(settings.SESSION_COOKIE_NAME):
            response.headers["Clear-Site-Data"] = '"cache"'  # it has ended; what is stored is how pages look
        return response


class Compressed(GZipMiddleware):
    """Django's compression, which hides the length of secrets, of what is worth it: pages, static files, the API's lists.

    Never of what lasts, such as the stream of events, whose parts are to arrive at once.
    """

    WORTH_IT = re.compile(r"text/|application/(json|xml|javascript)|image/svg")
    API_LENGTH = 4000  # bytes; to compress less takes programs longer than to send it

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if not self.WORTH_IT.match(response.get("Content-Type", "")) or hasattr(response, "waiting"):
            return response
        if response.streaming and not (isinstance(response, FileResponse) and response.status_code == 200):
            return response
        if hasattr(request, "wire") and (request.method != "GET" or len(response.content) < self.API_LENGTH):
            return response
        return super().process_response(request, response)


class Csrf(_ForBrowsers, CsrfViewMiddleware):
    """Django's tokens against forged forms. Views of the API that take a session check them themselves."""


class Authentication(_ForBrowsers, AuthenticationMiddleware):
    """The user of the session."""


class PasswordFirst:
    """Lets who logged in with a password that somebody else chose do nothing on pages before they have changed it."""

    ALLOWED = ("account_password", "login", "logout")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponseBase | None:
        match, session = request.resolver_match, getattr(request, "session", None)
        if session is None or hasattr(request, "wire"):  # the API sees to it where it takes a session
            return None
        if match and match.url_name in self.ALLOWED:
            return None
        return redirect("account_password") if session.get(PASSWORD_FIRST) else None


class Messages(_ForBrowsers, MessageMiddleware):
    """Django's messages."""


class Frames(_ForBrowsers, XFrameOptionsMiddleware):
    """X-Frame-Options."""


class Htmx(_ForBrowsers, HtmxMiddleware):
    """`request.htmx`."""


def _by_itself(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether an open page asked, and nobody did anything there; it says so, but for its stream, which cannot."""
    kind = response.get("Content-Type", "")
    return "X-Automatic" in request.headers or kind.startswith("text/event-stream")
