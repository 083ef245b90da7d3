"""Requests byte for byte, as clients that do not run here send them."""

import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from tests.factories import PASSWORD

DECLARATION = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get("Content-Type", "")

    @property
    def xml(self) -> Element:
        return fromstring(self.body)

    @property
    def fault(self) -> dict[str, str | None]:
        """The members of a bare fault without attributes, right behind the declaration."""
        assert self.body.startswith(DECLARATION + b"<fault>"), self.body
        return {member.tag: member.text for member in self.xml}


def basic(username: str, password: str = PASSWORD) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


class Line:
    """One connection, kept open from request to request."""

    def __init__(self, plug: socket.socket, host: str) -> None:
        self.plug, self.host = plug, host

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in ({"Host": self.host} | headers).items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.plug.sendall("\r\n".join(lines).encode() + body)
        response = HTTPResponse(self.plug, method=method)
        response.begin()
        return Answer(response.status, response.headers, response.read())


@contextmanager
def line(origin: str) -> Iterator[Line]:
    """A connection to the site."""
    address = urlsplit(origin)
    with socket.create_connection((address.hostname, address.port), timeout=30) as plug:
        yield Line(plug, address.netloc)
