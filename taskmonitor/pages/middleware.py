"""Middleware that only a browser needs: a program that asks the API without a cookie passes it by.

Such a request has no session, form, message or page; to find that out in each of them takes as long as
all the statements of a write.
"""

from typing import Any

from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone
from django_htmx.middleware import HtmxMiddleware


class _ForBrowsers:
    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if getattr(request, "by_program", False):  # ApiMiddleware says so
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]


class Policy(_ForBrowsers, CSPMiddleware):
    """Content-Security-Policy."""


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
        return super().process_response(request, response)


class Csrf(_ForBrowsers, CsrfViewMiddleware):
    """Django's tokens against forged forms. Views of the API that take a session check them themselves."""


class Authentication(_ForBrowsers, AuthenticationMiddleware):
    """The user of the session."""


class Messages(_ForBrowsers, MessageMiddleware):
    """Django's messages."""


class Frames(_ForBrowsers, XFrameOptionsMiddleware):
    """X-Frame-Options."""


class Htmx(_ForBrowsers, HtmxMiddleware):
    """`request.htmx`."""


def _by_itself(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether an open page asked, and nobody did anything there; it says so, but for its stream, which cannot."""
    return "X-Automatic" in request.headers or response.get("Content-Type") == "text/event-stream"
