"""JSON: in the design dialect as one expects it, in v3 and v4 as the oVirt engine writes it."""

import json
from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from api.charset import in_utf8
from api.wire import DEEPEST, MOST, Body, Document, instant


def members(value: Any, dialect: str) -> Any:
    """The value as JSON knows it; v3 and v4 have numbers and truths as text, and times in milliseconds."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {
            "name" if key == "#text" else key.lstrip("@"): members(member, dialect)
            for key, member in value.items()
            if member is not None
        }
    if isinstance(value, datetime):
        return instant(value) if dialect == "design" else int(value.timestamp() * 1000)
    if isinstance(value, list | Iterator):
        return [members(one, dialect) for one in value]
    if value is None:
        return None
    if not isinstance(value, int | float):
        return str(value)
    if dialect == "design":
        return value
    return str(value).lower()


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dumps(value: Any, dialect: str) -> str:
    """The JSON text of a document's members."""
    return _encoder.encode(members(value, dialect))


class JSONRenderer(BaseRenderer):
    """Writes a Document."""

    media_type = "application/json"
    format = "json"

    def render(
        self, data: Document | None, accepted_media_type: Any = None, renderer_context: Any = None
    ) -> bytes:
        if data is None:
            return b""
        return dumps(data.members, renderer_context["request"].wire.dialect).encode()


def loads(text: bytes) -> dict[str, Any]:
    """The object that the text holds; ParseError if it is too deep or large, or has doubled names or strange numbers."""
    try:
        value = json.loads(
            text.decode("utf-8-sig"),
            parse_constant=_refused,
            parse_int=_whole,
            parse_float=_real,
            object_pairs_hook=_Objects(),
        )
    except RecursionError:
        raise ParseError(_TOO_DEEP) from None
    except ValueError as problem:
        raise ParseError(f"The body is not acceptable JSON: {problem}.") from None
    if not isinstance(value, dict):
        raise ParseError("The body must be a JSON object.")
    if _depth(value) > DEEPEST:
        raise ParseError(_TOO_DEEP)
    return value


class JSONParser(BaseParser):
    """Reads a Body from one JSON object."""

    media_type = "application/json"

    def parse(  # type: ignore[override]  # a Body, which views read
        self, stream: IO[bytes], media_type: Any = None, parser_context: Any = None
    ) -> Body | None:
        text = in_utf8(stream.read(), media_type)
        return None if text.strip() == b"null" else Body(None, loads(text))


_TOO_DEEP = f"Values are nested more than {DEEPEST} deep."


def _refused(number: str) -> NoReturn:
    raise ValueError(f"{number[:20]} is not a number that is used here")


def _whole(digits: str) -> int:
    return int(digits) if len(digits) <= 20 else _refused(digits)


def _real(digits: str) -> float:
    value = float(digits)
    return value if isfinite(value) else _refused(digits)


class _Objects:
    """Makes the objects of one text."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.made += 1
        if self.made > MOST:
            raise ValueError(f"there are more than {MOST} objects in it")
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name is given twice in one object")
        return found


def _depth(value: Any) -> int:
    """How deep the value is nested, counted level by level; stops soon after the bound."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        depth += 1
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [one for values in inner for one in values if isinstance(one, dict | list)]
    return depth
