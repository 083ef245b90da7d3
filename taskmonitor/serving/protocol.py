"""uvicorn's HTTP, for clients that say what they want in time and in few words."""

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

TIME = 20  # seconds from the first byte of a request, or from the connection, to the end of its headers
SIZE = 65536  # bytes of request line and headers


class BoundedProtocol(HttpToolsProtocol):
    """Gives up on heads of requests that are too long or take too long; uvicorn waits, and keeps, for ever."""

    _size = 0  # of the head that is being read
    _timer: asyncio.TimerHandle | None = None  # runs while one is

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._timer:
            self._size += len(data)
            if self._size > SIZE:
                self._refuse(431)

    def on_message_begin(self) -> None:
        self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._end_head()
        self._size = 0
        self._timer = self.loop.call_later(TIME, self._refuse, 408)

    def _end_head(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int) -> None:
        self._end_head()
        if not self.transport.is_closing():
            self.transport.write(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
