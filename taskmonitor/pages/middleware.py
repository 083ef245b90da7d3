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
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
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
    """Django's sessions."""


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
