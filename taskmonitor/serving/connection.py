"""One client's connection: uvicorn's HTTP on h11, fed in small pieces and within limits of size and time."""

import asyncio
import re
from contextlib import suppress
from time import monotonic, thread_time
from typing import Any
from urllib.parse import quote

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from taskmonitor.serving.headers import guarded

HEAD_TIME = 20  # seconds from the first byte of a request, or from the connection, to the end of its head
HEAD_SIZE = 65536  # bytes of request line and headers
TAKEN_IN = 60  # seconds in which a client must take the next piece of an answer
PIECE = 8192  # bytes read at once: one client's bytes keep the others waiting for a few ms only
SMALL = 2048  # bytes of a piece that is so short that its parsing is not timed
DEAR = 0.001  # seconds of CPU for parsing a piece; what takes longer consists of chunks of a few bytes each
SHARE = 5  # after such a piece its client is not read from for so many times as long as the parsing took
MOST = 10_000  # connections at once; of the idle ones the one that was silent longest gives way to a new one

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_open: dict["Connection", None] = {}  # the one that was silent longest first
_dear_until = 0.0  # when the next client that sent such a piece may be read from again
_buffer = bytearray(PIECE)  # what was read is handed on before anything else is read


class _Http(H11Protocol):
    """uvicorn's, whose answer to what is no HTTP has the headers of all other answers."""

    def send_400_response(self, msg: str) -> None:
        body = msg.encode()
        kind, size = (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))
        headers = [kind, size, (b"connection", b"close"), *guarded()]
        head = h11.Response(status_code=400, headers=headers, reason=STATUS_PHRASES[400])
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()


class Connection(asyncio.BufferedProtocol):
    """Gives up on clients that send heads too long or too slowly, or that take nothing of their answer."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = _loop or asyncio.get_running_loop()
        self._http = _Http(config, server_state, app_state, self._loop)
        self._head_size = 0
        self._in_head: asyncio.TimerHandle | None = None  # runs while a head is awaited
        self._in_answer: asyncio.TimerHandle | None = None  # runs while the client takes nothing

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        _make_room()
        _open[self] = None
        self._await_head()
        self._http.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        _open.pop(self, None)
        self._end_head()
        self._end_wait()
        self._http.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(memoryview(_buffer)[:nbytes])
        if nbytes < SMALL:
            self._read(data)
            return
        begun = thread_time()
        self._read(data)
        if (spent := thread_time() - begun) > DEAR:
            self._wait_for_turn(spent)

    def _read(self, data: bytes) -> None:
        _open[self] = _open.pop(self, None)
        if self.awaits_head:
            if not self._head_size:
                data = _with_ascii_target(data)
            elif self._head_size + data.find(b"\r\n\r\n") > HEAD_SIZE:
                self._refuse(431)
                return
        self._http.data_received(data)
        if not self.awaits_head:
            self._end_head()
            return
        self._await_head()
        self._head_size += len(data)
        if self._head_size > HEAD_SIZE:
            self._refuse(431)

    def _wait_for_turn(self, spent: float) -> None:
        """Read no more from this client until others have had their share of the time."""
        global _dear_until
        _dear_until = max(_dear_until, monotonic()) + SHARE * spent
        self._transport.pause_reading()
        self._loop.call_later(_dear_until - monotonic(), self._go_on_reading)

    def _go_on_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> None:
        self._http.eof_received()

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        self._in_answer = self._loop.call_later(TAKEN_IN, self.abort)
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._end_wait()
        self._http.resume_writing()

    @property
    def awaits_head(self) -> bool:
        return self._http.conn.their_state is h11.IDLE

    def abort(self) -> None:
        """Drop the connection and what is still to be sent."""
        self._transport.abort()

    def _await_head(self) -> None:
        if not self._in_head:
            self._in_head = self._loop.call_later(HEAD_TIME, self._refuse, 408)

    def _end_head(self) -> None:
        self._head_size = 0
        if self._in_head:
            self._in_head.cancel()
            self._in_head = None

    def _end_wait(self) -> None:
        if self._in_answer:
            self._in_answer.cancel()
            self._in_answer = None

    def _refuse(self, status: int) -> None:
        self._end_head()
        if not self._transport.is_closing():
            line = b"HTTP/1.1 %d %s\r\n" % (status, STATUS_PHRASES[status])
            headers = [*guarded(), (b"connection", b"close"), (b"content-length", b"0")]
            self._transport.write(line + b"".join(b"%s: %s\r\n" % each for each in headers) + b"\r\n")
            self._transport.close()


def abort_all() -> None:
    """Drop all connections there are."""
    for connection in [*_open]:
        connection.abort()


def _make_room() -> None:
    if len(_open) >= MOST and (idle := next((each for each in _open if each.awaits_head), None)):
        del _open[idle]
        idle.abort()


def _with_ascii_target(data: bytes) -> bytes:
    """The beginning of a head, with letters beyond ASCII in its first line escaped: curl sends them as they are."""
    line, end, rest = data.partition(b"\r\n")
    if line.isascii():
        return data
    with suppress(UnicodeDecodeError):
        return _BEYOND_ASCII.sub(lambda found: quote(found[0]), line.decode()).encode() + end + rest
    return data
