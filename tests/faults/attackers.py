"""Strangers who mean harm: each keeps some sockets busy for a while, as `python -m tests.faults.attackers NAME URL SECONDS`.

Each is bounded in sockets and time, and goes to the given address only.
"""

import base64
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, cycle, repeat
from urllib.parse import urlsplit

from django.templatetags.static import static

Parts = Iterator[bytes]  # what one connection sends, piece by piece; b"" waits
STATIC = static("admin/js/vendor/xregexp/xregexp.js")
HEAD = b"Host: localhost\r\n"
WAIT = repeat(b"")


def request(method: str, path: str, *lines: str) -> bytes:
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), HEAD + "\r\n".join(lines).encode(), b"", b""])


def basic(name: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{name}:wrong".encode()).decode()


def trailers() -> Parts:
    """Trailers without end."""
    return chain(
        [request("GET", "/login/", "Transfer-Encoding: chunked") + b"0\r\n"], repeat(b"a: b\r\n" * 5000)
    )


def tiny_chunks() -> Parts:
    """A body of chunks of one byte each."""
    return chain([request("POST", "/api/jobs", "Transfer-Encoding: chunked")], repeat(b"1\r\nx\r\n" * 5000))


def slow_heads() -> Parts:
    """A head that grows by a line now and then."""
    return chain([b"GET / HTTP/1.1\r\n"], cycle([b"X: y\r\n", *[b""] * 20]))


def long_heads() -> Parts:
    """A head of many lines, without end."""
    return chain([b"GET / HTTP/1.1\r\n"], repeat(b"X: y\r\n" * 1000))


def unread_files() -> Parts:
    """Static files that nobody reads."""
    return chain([request("GET", STATIC) * 20], WAIT)


def unread_documents() -> Parts:
    """The API's description, again and again, unread."""
    return chain([request("GET", "/api/openapi.json") * 20], WAIT)


def unfinished_bodies() -> Parts:
    """A large body that lacks its last byte."""
    return chain([request("POST", "/api/jobs", "Content-Length: 1000000") + b"x" * 999_999], WAIT)


def wrong_passwords() -> Parts:
    """Guesses at everybody's password."""
    while True:
        yield request("GET", "/api", basic(f"nobody{random.random()}"))
        yield b""


def wrong_passwords_of_one() -> Parts:
    """Guesses at the superuser's password."""
    return cycle([request("GET", "/api", basic("admin")), b""])


def wrong_tokens() -> Parts:
    """Guesses at tokens."""
    return cycle([request("GET", "/api", "Authorization: Bearer tm_x"), b""])


def garbage() -> Parts:
    """No HTTP at all."""
    while True:
        yield random.randbytes(2000)


def login_pages() -> Parts:
    """The login page, again and again, unread."""
    return repeat(request("GET", "/login/"))


ATTACKS: dict[str, tuple[Callable[[], Parts], int]] = {  # with how many connections
    attack.__name__: (attack, connections)
    for attack, connections in (
        (trailers, 10),
        (tiny_chunks, 10),
        (slow_heads, 300),
        (long_heads, 20),
        (unread_files, 60),
        (unread_documents, 60),
        (unfinished_bodies, 60),
        (wrong_passwords, 100),
        (wrong_passwords_of_one, 100),
        (wrong_tokens, 20),
        (garbage, 10),
        (login_pages, 20),
    )
}
READ = {
    "wrong_passwords",
    "wrong_passwords_of_one",
    "wrong_tokens",
    "garbage",
}  # those that take their answers


class Attacker:
    """One connection at a time; a new one when the server ends it."""

    def __init__(self, attack: Callable[[], Parts], address: tuple[str, int], *, reads: bool) -> None:
        self._attack, self._address, self._reads = attack, address, reads
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(2)
        with suppress(OSError):
            self._socket.connect(self._address)
        self._socket.setblocking(False)
        self._parts, self._left = self._attack(), b""

    def go_on(self) -> None:
        """Send as much as goes at once."""
        try:
            if self._reads:
                with suppress(BlockingIOError):
                    while True:
                        if not self._socket.recv(65536):
                            raise ConnectionResetError
            self._left = self._left or next(self._parts)
            with suppress(BlockingIOError):
                self._left = self._left[self._socket.send(self._left) :]
        except OSError:
            self.close()
            self._connect()

    def close(self) -> None:
        self._socket.close()


def main(name: str, url: str, seconds: float) -> None:
    """Attack for so long."""
    attack, connections = ATTACKS[name]
    at = urlsplit(url)
    address = (at.hostname or "", at.port or 80)
    attackers = [Attacker(attack, address, reads=name in READ) for _ in range(connections)]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for attacker in attackers:
            attacker.go_on()
        time.sleep(0.05)
    for attacker in attackers:
        attacker.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
