"""Synchronous views: a request is run whole, middleware and all, by one of a fixed number of threads.

Django's own ASGI handler starts a thread for each request, and with it a database connection.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import printable
from threading import Event
from urllib.parse import quote_from_bytes

from django.core import signals
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from taskmonitor.serving.body import Gone, Receive, Scope, Send, TooLarge, discard_rest, read_body
from taskmonitor.serving.threads import Threads

CHUNK = 65536  # bytes of a streamed answer that are worth handing to the event loop
STALLED = 60  # seconds without taking anything after which a streamed answer is given up
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # what may not be in a header


@dataclass(slots=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | StreamingHttpResponse


class RequestHandler(BaseHandler):
    """The ASGI application of the synchronous views."""

    def __init__(self, *, threads: int, streaming_threads: int) -> None:
        super().__init__()
        self.load_middleware()
        self._threads = Threads("request", threads)
        self._streaming = Threads("streaming", streaming_threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive)
        except Gone:
            return
        except TimeoutError:
            await _send_start(send, Answer(408, [(b"connection", b"close")], b""))
            await _send_body(send, b"")
            return
        refused = isinstance(body, TooLarge)
        answer = await self._threads.run(lambda: self._answer(ASGIRequest(_decodable(scope), body)))
        if refused:
            answer.headers.append((b"connection", b"close"))
        await _send_start(send, answer)
        if isinstance(answer.body, bytes):
            await _send_body(send, answer.body, more=refused)
        else:
            await self._stream(answer.body, receive, send)
            await _send_body(send, b"", more=refused)
        if refused:
            await discard_rest(receive)
            await _send_body(send, b"")

    def stop(self) -> None:
        self._threads.stop()
        self._streaming.stop()

    def _answer(self, request: ASGIRequest) -> Answer:
        """In a thread: run the request; unless it is to be streamed, that is all of it."""
        set_script_prefix(get_script_prefix(request.scope))
        signals.request_started.send(sender=self.__class__, scope=request.scope)
        response = self.get_response(request)
        if isinstance(response, StreamingHttpResponse) and request.method != "HEAD":
            return Answer(response.status_code, _headers(response), response)
        body = response.content if isinstance(response, HttpResponse) else b""
        response.close()
        return Answer(response.status_code, _headers(response), body)

    async def _stream(self, response: StreamingHttpResponse, receive: Receive, send: Send) -> None:
        """Iterate in a thread of its own kind, no faster than the client reads, and only while it is there."""
        loop = asyncio.get_running_loop()
        gone = Event()

        def run() -> None:
            close_old_connections()
            try:
                for chunk in _gathered(response):
                    if gone.is_set():
                        return
                    sent = asyncio.run_coroutine_threadsafe(_send_body(send, chunk, more=True), loop)
                    sent.result(STALLED)
            finally:
                response.close()

        watch = asyncio.create_task(_set_when_gone(gone, receive))
        try:
            await self._streaming.run(run)
        finally:
            gone.set()
            watch.cancel()


async def _send_start(send: Send, answer: Answer) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})


async def _send_body(send: Send, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _set_when_gone(gone: Event, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()


def _decodable(scope: Scope) -> Scope:
    """The scope with a query that Django can decode, whatever bytes a client sent."""
    query = scope["query_string"]
    if query.isascii():
        return scope
    return scope | {"query_string": quote_from_bytes(query, safe=printable).encode()}


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    cookies = [("Set-Cookie", cookie.output(header="").strip()) for cookie in response.cookies.values()]
    return [
        (name.encode("ascii"), CONTROL.sub(b" ", value.encode("latin-1")))
        for name, value in [*response.items(), *cookies]
    ]


def _gathered(response: StreamingHttpResponse) -> Iterator[bytes]:
    """The parts of a streamed answer, joined to pieces worth sending."""
    if isinstance(response, FileResponse):
        response.block_size = CHUNK
    parts, size = [], 0
    for part in response:
        parts.append(part)
        size += len(part)
        if size >= CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
