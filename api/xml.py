"""XML as oVirt's clients write and read it; on djangorestframework-xml's classes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any
from xml.etree.ElementTree import ParseError as SyntaxProblem

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser
from rest_framework.exceptions import ParseError
from rest_framework_xml.parsers import XMLParser as BaseXMLParser
from rest_framework_xml.renderers import XMLRenderer as BaseXMLRenderer

from api.charset import in_utf8, named
from api.wire import ATTRIBUTES, DEEPEST, MOST, Body, Document, instant

DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'  # to the byte: SDK v3 compares it
ESCAPE = "In XML text write &amp; for & and &lt; for <, or put it into <![CDATA[ and ]]>."
_MOST_ATTRIBUTES = 20
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\t": "&#9;", "\n": "&#10;"}
_UNWRITABLE = "\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_IN_TEXT = re.compile(f"[&<>\r{_UNWRITABLE}]")
_IN_ATTRIBUTE = re.compile(f'[&<>"\r\t\n{_UNWRITABLE}]')


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], "\ufffd")


def _plain(value: str) -> bool:
    """Whether it may stand as it is, as nearly all may; the patterns take three times as long to see that."""
    return value.isprintable() and not ("&" in value or "<" in value or ">" in value or '"' in value)


class _Heads(dict[str, str]):
    """For each member's name how it begins as an attribute; empty for one that is an element."""

    def __missing__(self, name: str) -> str:
        is_attribute = name in ATTRIBUTES or name[0] == "@"
        self[name] = head = f' {name.lstrip("@")}="' if is_attribute else ""
        return head


_heads = _Heads()  # of names that our own code gives, so they are few


def element(name: str, value: Any) -> str:
    """The element of that name; for several values one of each, for None nothing."""
    if isinstance(value, dict):
        head, inner = name, ""
        for key, member in value.items():
            if attribute := _heads[key]:
                said = str(member)
                head += f'{attribute}{said if _plain(said) else _IN_ATTRIBUTE.sub(_escaped, said)}"'
            elif isinstance(member, str):
                said = member if _plain(member) else _IN_TEXT.sub(_escaped, member)
                inner += said if key == "#text" else f"<{key}>{said}</{key}>"
            elif member is not None:
                inner += element(key, member)
        return f"<{head}>{inner}</{name}>" if inner else f"<{head}/>"
    if value is None:
        return ""
    if isinstance(value, list | Iterator):
        return "".join([element(name, one) for one in value])
    return f"<{name}>{text(value)}</{name}>"


def text(value: Any) -> str:
    """What stands between an element's tags for a single value."""
    if isinstance(value, str):
        return value if _plain(value) else _IN_TEXT.sub(_escaped, value)
    if isinstance(value, datetime):
        return instant(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


class XMLRenderer(BaseXMLRenderer):  # type: ignore[misc]
    """Writes a Document."""

    media_type = "application/xml"
    charset = "utf-8"

    def render(
        self, data: Document | None, accepted_media_type: Any = None, renderer_context: Any = None
    ) -> bytes:
        if data is None:
            return b""
        return (DECLARATION + element(data.root, data.members)).encode()


class XMLParser(BaseXMLParser):  # type: ignore[misc]
    """Reads a Body: text stays text, attributes and elements are members alike; no DTD, no entities, bounded."""

    media_type = "application/xml"

    def parse(self, stream: IO[bytes], media_type: Any = None, parser_context: Any = None) -> Body:
        body, charset = in_utf8(stream.read(), media_type), named(media_type)
        # the charset of Content-Type wins over the one in the XML declaration (RFC 7303, 3.2)
        parser = DefusedXMLParser(target=_Reader(), encoding=charset and "utf-8", forbid_dtd=True)
        try:
            parser.feed(body)
            root, members = parser.close()
        except DefusedXmlException:
            raise ParseError(
                "A document type or entity declaration is not accepted; send the plain element."
            ) from None
        except SyntaxProblem as problem:
            raise ParseError(f"The body is not well-formed XML: {problem}. {ESCAPE}") from None
        except (ValueError, LookupError):  # what codecs raise
            raise ParseError("The body has an encoding that is not known here; send UTF-8.") from None
        return Body(root, members if isinstance(members, dict) else {"#text": members})


@dataclass(slots=True)
class _Open:
    """An element whose end has not come yet."""

    name: str
    members: dict[str, Any]
    pieces: list[str] = field(default_factory=list)
    has_elements: bool = False


class _Reader:
    """Builds nested members as the parser meets elements."""

    def __init__(self) -> None:
        self.open: list[_Open] = []
        self.root: tuple[str, Any] = ("", {})
        self.met = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) == DEEPEST:
            raise ParseError(f"Elements are nested more than {DEEPEST} deep.")
        self.met += 1
        if self.met > MOST:
            raise ParseError(f"There are more than {MOST} elements.")
        if len(attributes) > _MOST_ATTRIBUTES:
            raise ParseError(f"An element has more than {_MOST_ATTRIBUTES} attributes.")
        if self.open:
            self.open[-1].has_elements = True
        self.open.append(_Open(tag.rpartition("}")[2], dict(attributes)))

    def data(self, text: str) -> None:
        self.open[-1].pieces.append(text)

    def end(self, tag: str) -> None:
        ended = self.open.pop()
        text = "".join(ended.pieces)
        value: Any = ended.members or text
        if ended.members and text.strip():
            if ended.has_elements:
                raise ParseError(f"<{ended.name[:100]}> has text and elements side by side. {ESCAPE}")
            ended.members["#text"] = text
        if not self.open:
            self.root = (ended.name, value)
            return
        name, siblings = ended.name, self.open[-1].members
        if name not in siblings:
            siblings[name] = value
        elif isinstance(siblings[name], list):
            siblings[name].append(value)
        else:
            siblings[name] = [siblings[name], value]

    def close(self) -> tuple[str, Any]:
        return self.root
