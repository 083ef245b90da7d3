"""An HTTP client that costs little: raw sockets, kept open, one request at a time on each."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def id(self) -> str:
        """The id of the thing that the answer describes: its first `id` attribute."""
        start = self.body.index(b' id="') + 5
        return self.body[start : start + 36].decode()


class Connection(asyncio.Protocol):
    """One connection to a server, and the headers that go with each of its requests."""

    @classmethod
    async def open(cls, port: int, *headers: str) -> "Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, "127.0.0.1", port)
        connection.headers = "".join(f"{header}\r\n" for header in ("Host: 127.0.0.1", *headers)).encode()
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.received = bytearray()
        self.waiting: asyncio.Future[Answer] | None = None

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.received[:end]).lower()
        mark = head.find(b"\r\ncontent-length:")
        if mark < 0:
            self._settle(ConnectionError(f"an answer without length: {head[:200]!r}"))
            return
        whole = end + 4 + int(head[mark + 17 :].split(b"\r\n", 1)[0])
        if len(self.received) >= whole:
            answer = Answer(int(head[9:12]), head, bytes(self.received[end + 4 : whole]))
            del self.received[:whole]
            self._settle(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self._settle(error or ConnectionError("the server closed the connection"))

    def _settle(self, outcome: Answer | Exception) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is None or waiting.done():
            return
        if isinstance(outcome, Answer):
            waiting.set_result(outcome)
        else:
            waiting.set_exception(outcome)

    async def get(self, path: str) -> Answer:
        return await self._send(f"GET {path} HTTP/1.1\r\n".encode() + self.headers + b"\r\n")

    async def post(self, path: str, body: bytes) -> Answer:
        head = f"POST {path} HTTP/1.1\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        return await self._send(head.encode() + self.headers + b"\r\n" + body)

    async def _send(self, request: bytes) -> Answer:
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.waiting

    def close(self) -> None:
        self.transport.close()
