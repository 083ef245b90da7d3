"""Pages and admin are read and posted to, nothing else."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase

METHODS = ("GET", "HEAD", "POST")


class KnownMethods:
    """Refuses other methods; Django's own views would take some of them for a POST, or for a GET."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], *_: Any
    ) -> HttpResponseBase | None:
        if request.method in METHODS or getattr(
            view, "csrf_exempt", False
        ):  # views of the API answer themselves
            return None
        return HttpResponseNotAllowed(METHODS)
