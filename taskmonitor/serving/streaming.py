"""Responses that are sent while they are made: long lists by threads, lasting streams on the event loop."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from django.db import close_old_connections
from django.http import FileResponse, StreamingHttpResponse

from taskmonitor.serving.asgi_types import Receive, Send
from taskmonitor.serving.threads import Threads

THREADS = 4  # apart from those of requests
CHUNK = 65536  # bytes that are worth handing to the event loop


class Streams:
    """Sends streaming responses, no faster than each client reads and no longer than it is there."""

    def __init__(self, requests: Threads) -> None:
        self._requests = requests
        self._threads = Threads("streaming", THREADS)
        self._lasting: set[asyncio.Task[None]] = set()

    async def send(self, response: StreamingHttpResponse, receive: Receive, send: Send) -> None:
        """Send all parts and close the response; what ends the body is left to the caller."""
        if response.is_async:
            await self._send_lasting(response, receive, send)
        else:
            await self._send_long(response, receive, send)

    async def outlast(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for that before anything is sent, no longer than the server is to run."""
        task = asyncio.create_task(waiting)
        self._lasting.add(task)
        try:
            await asyncio.wait([task])
        finally:
            self._lasting.discard(task)
            task.cancel()

    def end_lasting(self) -> None:
        """Let each lasting stream, and each wait, end well now, as if its client had left."""
        for task in self._lasting:
            task.cancel()

    def stop(self) -> None:
        self._threads.stop()

    async def _send_lasting(self, response: StreamingHttpResponse, receive: Receive, send: Send) -> None:
        async def relay() -> None:
            async for part in response:
                await send_part(send, part)

        relaying = asyncio.create_task(relay())
        watching = asyncio.create_task(_when_gone(receive, relaying.cancel))
        self._lasting.add(relaying)
        try:
            await asyncio.wait([relaying])
        finally:
            self._lasting.discard(relaying)
            relaying.cancel()
            watching.cancel()
            await self._requests.run(response.close)
        if not relaying.cancelled():
            relaying.result()

    async def _send_long(self, response: StreamingHttpResponse, receive: Receive, send: Send) -> None:
        """Between two chunks no thread is held, however slowly they are taken."""
        chunks, gone = _gathered(response), asyncio.Event()
        watching = asyncio.create_task(_when_gone(receive, gone.set))

        def next_chunk() -> bytes | None:
            close_old_connections()
            return next(chunks, None)

        try:
            while not gone.is_set() and (chunk := await self._threads.run(next_chunk)) is not None:
                await send_part(send, chunk)
        finally:
            watching.cancel()
            await self._threads.run(response.close)


async def send_part(send: Send, part: bytes) -> None:
    """Send it, and no more of it at once than is worth keeping for a client that reads slowly."""
    for start in range(0, len(part), CHUNK):
        await send({"type": "http.response.body", "body": part[start : start + CHUNK], "more_body": True})


async def _when_gone(receive: Receive, act: Callable[[], object]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    act()


def _gathered(response: StreamingHttpResponse) -> Iterator[bytes]:
    """The parts, joined to chunks."""
    if isinstance(response, FileResponse):
        response.block_size = CHUNK
    parts, size = [], 0
    for part in response:
        parts.append(part)
        size += len(part)
        if size >= CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)
