"""Asks hosts that the operator allows, by HTTP, within bounds.

The address that was checked is the one that is connected to, so a name that answers differently a moment
later changes nothing.
"""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings

from coordinator.commands.addresses import addresses, is_public
from coordinator.commands.deadline import Deadline
from taskmonitor.errors import TaskMonitorError

PATIENCE = 10.0  # seconds that a connection may be silent
WHOLE = 30.0  # seconds that a call may take, from the look-up of its host to the last byte, redirects and all
MOST_BYTES = 1_000_000  # of a body
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}


class Refused(TaskMonitorError):
    """The address is not one that may be asked."""


class Unreachable(TaskMonitorError):
    """There was no answer that can be understood; perhaps the next time."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered, by `url` in the end, and whether it was pointed to as the result of what was asked."""

    url: str
    status: int
    headers: Message
    body: bytes
    seen_other: bool


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    secret_headers: Mapping[str, str],
    body: bytes | None = None,
    seconds: float = WHOLE,
) -> Reply:
    """Ask, and go where the answers redirect to; `secret_headers` are sent to the first one's origin only.

    All of it takes at most so many `seconds`, and no more than WHOLE.

    Refused for an address that is not allowed, wherever it comes from; Unreachable if anything else fails.
    """
    deadline = Deadline(min(seconds, WHOLE))
    home, seen_other = origin(url), False
    for _ in range(MOST_REDIRECTS + 1):
        target = checked(url)
        at_home = origin(url) == home
        try:
            reply = _once(method, target, {**headers, **(secret_headers if at_home else {})}, body, deadline)
        except (OSError, HTTPException) as error:
            raise Unreachable(
                f"{target.netloc} does not answer: {str(error) or type(error).__name__}."
            ) from None
        location = reply.headers.get("Location")
        if reply.status not in REDIRECTS or not location:
            return Reply(url, reply.status, reply.headers, reply.body, seen_other)
        url = urljoin(url, location)
        seen_other |= reply.status == 303
        if reply.status not in (307, 308) and method != "GET":
            method, body = "GET", None
    raise Refused(f"{urlsplit(url).netloc} redirects more than {MOST_REDIRECTS} times.")


def checked(url: str) -> SplitResult:
    """The parts of the URL; Refused if its host is not one of TASKMONITOR_HTTP_HOSTS."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Refused("A URL is written in ASCII without blanks.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"The URL cannot be read: {error}.") from None
    if parts.scheme not in PORTS:
        raise Refused(f"{parts.scheme or 'No scheme'} is not called; a URL begins with http:// or https://.")
    if parts.username is not None:
        raise Refused("A URL has no user name.")
    port = port or PORTS[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    usual = port == PORTS[parts.scheme]
    if f"{host}:{port}" not in settings.HTTP_HOSTS and not (usual and host in settings.HTTP_HOSTS):
        raise Refused(f"{host}:{port} is not a host that may be called.")
    return parts


def _once(
    method: str, target: SplitResult, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
) -> Reply:
    connection = HTTPConnection(target.hostname or "")
    connection.sock = connected = _connected(target, deadline)
    try:
        with deadline.ends(connected):
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            connection.request(method, path, body, {**headers, "Host": target.netloc, "Connection": "close"})
            response = connection.getresponse()
            content = _read(response, target)
        return Reply(target.geturl(), response.status, response.headers, content, seen_other=False)
    finally:
        connection.close()


def _connected(target: SplitResult, deadline: Deadline) -> socket.socket:
    """A connection to one of the host's addresses that may be asked; with https the next is its handshake."""
    name, port = target.hostname or "", target.port or PORTS[target.scheme]
    found = addresses(name, port, min(PATIENCE, deadline.left()))
    allowed = [address for address in found if settings.HTTP_PRIVATE or is_public(address)]
    if not allowed:
        raise Refused(f"{name} has no public address, and TASKMONITOR_HTTP_PRIVATE is not set.")
    failure: OSError = OSError()
    for address in allowed:
        try:
            connected = socket.create_connection((address, port), min(PATIENCE, deadline.left()))
        except OSError as error:
            failure = error
            continue
        if target.scheme == "http":
            return connected
        return ssl.create_default_context().wrap_socket(
            connected, server_hostname=name, do_handshake_on_connect=False
        )
    raise failure


def _read(response: HTTPResponse, target: SplitResult) -> bytes:
    body = b""
    while chunk := response.read1(65_536):
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(f"{target.netloc} answers with more than {MOST_BYTES} bytes.")
    if response.length:
        raise IncompleteRead(body, response.length)
    return body


def origin(url: str) -> tuple[str, str]:
    """Whom the URL belongs to."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
