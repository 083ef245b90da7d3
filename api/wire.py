"""What both formats share: a document is a root name and members, whose names say what XML makes of them.

`href`, `id`, `rel` and names that begin with "@" are attributes in XML, "#text" is the element's own text,
a list or iterator is a repeated element, None is left out. JSON has members for all of them; "#text" is called "name" there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ATTRIBUTES = frozenset({"href", "id", "rel"})
DEEPEST = 8  # levels of a request's body, its root included
MOST = 1000  # elements or objects of a request's body

Members = dict[str, Any]
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """An answer not yet written. XML names its root; JSON has none."""

    root: str
    members: Members


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body as read; `root` is None for JSON, which names none."""

    root: str | None
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wire:
    """How one request speaks: its dialect, and the path that its hrefs begin with."""

    dialect: str  # design, v3 or v4
    base: str  # for instance /ovirt-engine/api/v4
    json: bool  # whether answers are JSON, not XML


def writable(text: str) -> str:
    """The text with U+FFFD for what neither format can carry; for words that quote what a client sent."""
    return _UNWRITABLE.sub("\ufffd", text)


_TWO = [f"{number:02}" for number in range(60)]
_THREE = [f"{number:03}" for number in range(1000)]


def instant(value: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: 2026-01-02T03:04:05.678Z."""
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    date = f"{utc.year:04}-{_TWO[utc.month]}-{_TWO[utc.day]}"  # tables take half as long as formats
    return f"{date}T{_TWO[utc.hour]}:{_TWO[utc.minute]}:{_TWO[utc.second]}.{_THREE[utc.microsecond // 1000]}Z"
