"""Refuses, with a page, a request whose query or form cannot be read."""

from collections.abc import Callable

from django.core.exceptions import ValidationError
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
            status, reason = problem
            return HttpResponse(render_to_string("400.html", {"reason": reason}), status=status)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        """Django's view of an address by model and key takes no notice of keys that cannot be the model's."""
        match = request.resolver_match
        if isinstance(error, ValidationError) and match and match.view_name == "admin:view_on_site":
            raise Http404 from error
