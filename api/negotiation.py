"""Which format to read and to write."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_FORMATS = ("application/json", "application/xml", "text/xml")
_KINDS = (*_FORMATS, "*/*", "application/*")


class XmlUnlessJson(BaseContentNegotiation):
    """XML, for that is what oVirt's clients expect when they say nothing; JSON for those who ask for it or send it."""

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
    """Whether the answer is JSON, not XML.

    `?accept=` decides, else the Accept header's weights, else its order. If they name neither format, the answer
    is in that of the request's body.
    """
    accept: str = request.GET.get("accept") or request.META.get("HTTP_ACCEPT", "")
    best, refused = (0.0, False, ""), False  # weight, whether it is a format and not a wild card, name
    for word in accept.lower().split(","):
        kind, _, parameters = word.partition(";")
        kind, weight = kind.strip(), _weight(parameters)
        refused = refused or (kind == "application/json" and weight == 0)
        if kind in _KINDS and weight > 0 and (weight, kind in _FORMATS) > best[:2]:
            best = weight, kind in _FORMATS, kind
    if best[1]:
        return best[2] == "application/json"
    return _is_sent_as_json(request) and not refused


def _is_sent_as_json(request: HttpRequest) -> bool:
    """Whether there is a body in JSON, or in lines of it; what GET says of one means nothing."""
    return request.method not in ("GET", "HEAD") and "json" in (request.content_type or "")


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
