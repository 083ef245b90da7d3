"""Refuses, with a page, a request whose query or form cannot be read."""

from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from taskmonitor.serving.readable import refusal


class Readable:
    """Comes before all that reads a query or a form, Django's middleware and its admin included."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if hasattr(request, "wire"):  # ApiMiddleware has asked
            return self.get_response(request)
        if problem := refusal(request):
            return _page(*problem)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """What Django's admin takes from an address unchecked: keys of no model's, values of no column's."""
        match = request.resolver_match
        if not match or "admin" not in match.app_names:
            return None
        if isinstance(error, DataError):
            return _page(400, "The database cannot look for one of its values.")
        if isinstance(error, ValidationError) and match.url_name == "view_on_site":
            raise Http404 from error
        return None


def _page(status: int, words: str) -> HttpResponse:
    return HttpResponse(render_to_string("400.html", {"words": words}), status=status)
