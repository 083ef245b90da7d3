"""Decodes a body by the charset in its Content-Type; a charset that is not supported is refused."""

import codecs

from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError

OF_FORMS = frozenset(
    {
        "utf-8",
        "ascii",
        *(f"iso8859-{part}" for part in range(1, 17)),
        *(f"cp{page}" for page in range(1250, 1259)),
    }
)  # in Python's spelling; in all of them an ASCII character is the same byte, as forms need it
OF_BODIES = OF_FORMS | {"utf-16", "utf-16-le", "utf-16-be"}


def named(content_type: str | None) -> str | None:
    """The charset in Python's spelling; None if none is named. ParseError for one that is not read here."""
    given = parse_header_parameters(content_type or "")[1].get("charset")
    if not given:
        return None
    try:
        found = codecs.lookup(given).name
    except (LookupError, ValueError):
        found = ""
    if found not in OF_BODIES:
        raise ParseError(
            f"Content-Type names the charset {given[:40]!r}, which is not read here; send UTF-8."
        )
    return found


def in_utf8(body: bytes, content_type: str | None) -> bytes:
    """The body, in UTF-8 if Content-Type names another charset. ParseError if it is not in the one named."""
    charset = named(content_type)
    if charset in (None, "utf-8"):
        return body
    try:
        return body.decode(charset).encode()
    except UnicodeError:
        raise ParseError(f"The body is not in the charset {charset}, which its Content-Type names.") from None
