"""Asynchronous views: streams that last, on the event loop."""

import asyncio
from io import BytesIO

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler

from taskmonitor.serving.body import Message, Receive, Scope, Send


class StreamHandler(ASGIHandler):
    """Django's ASGI handler, without a thread for each stream, and with an end for all of them at once.

    What a stream does synchronously (middleware, the database) runs in one thread shared by all streams.
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: set[asyncio.Event] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        end = asyncio.Event()
        stream = Stream(receive, send, end)
        self._open.add(end)
        try:
            await self.handle(scope, stream.receive, stream.send)
            await stream.complete()
        finally:
            self._open.discard(end)

    def end_all(self) -> None:
        """Let each view see its client leave, and each client a well-formed end of its stream."""
        for end in self._open:
            end.set()

    async def read_body(self, receive: Receive) -> BytesIO:
        """Nothing: a stream is asked for without a body."""
        return BytesIO()

    async def listen_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        raise RequestAborted


class Stream:
    """One stream's messages."""

    def __init__(self, receive: Receive, send: Send, end: asyncio.Event) -> None:
        self._receive, self._send, self._end = receive, send, end
        self._last: Message = {}

    async def receive(self) -> Message:
        """The client's next message, or its departure as soon as all streams are to end."""
        received = asyncio.ensure_future(self._receive())
        ended = asyncio.create_task(self._end.wait())
        try:
            await asyncio.wait([received, ended], return_when=asyncio.FIRST_COMPLETED)
            return received.result() if received.done() else {"type": "http.disconnect"}
        finally:
            received.cancel()
            ended.cancel()

    async def send(self, message: Message) -> None:
        self._last = message
        await self._send(message)

    async def complete(self) -> None:
        """Send what is missing of the answer."""
        if self._last and (self._last["type"] == "http.response.start" or self._last.get("more_body")):
            await self._send({"type": "http.response.body"})
