"""Which format to read and to write."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class XmlUnlessJsonIsAsked(BaseContentNegotiation):
    """XML, for that is what oVirt's clients expect when they say nothing; JSON for those who ask for it."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        kinds = {parser.media_type: parser for parser in parsers}
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        kind = "application/xml" if kind == "text/xml" else kind
        is_plain = request.headers.get("Content-Encoding", "identity").lower() == "identity"
        if kind not in kinds or not is_plain:  # what is compressed could be of any size
            raise UnsupportedMediaType(kind, f"Send Content-Type: {' or '.join(kinds)}, uncompressed.")
        return kinds[kind]

    def select_renderer(
        self, request: Any, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        wanted = "application/json" if request.wire.json else "application/xml"
        return next((one, wanted) for one in renderers if one.media_type == wanted)


def wants_json(request: HttpRequest) -> bool:
    """Whether JSON is preferred to XML: by `?accept=`, else by the Accept header's weights, else by its order."""
    accept = request.GET.get("accept") or request.META.get("HTTP_ACCEPT", "")
    if "json" not in accept:
        return False
    best, answer = 0.0, False
    for word in accept.split(","):
        kind, _, parameters = word.partition(";")
        kind = kind.strip().lower()
        if kind not in ("application/json", "application/xml", "text/xml", "*/*", "application/*"):
            continue
        weight = _weight(parameters)
        if weight > best:
            best, answer = weight, kind == "application/json"
    return answer


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
