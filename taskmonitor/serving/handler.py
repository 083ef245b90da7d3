"""Django's views behind ASGI: a request is run whole, middleware and all, by one of a fixed number of threads.

Django's own ASGI handler starts a thread for each request, and with it a database connection. Here an
asynchronous view is run by the thread too, up to its response; what that streams runs on the event loop.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from time import monotonic

from django.core import signals
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections, connection
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from taskmonitor.services.transaction import request_came
from taskmonitor.serving.asgi_types import Receive, Scope, Send
from taskmonitor.serving.body import Ambiguous, Bodies, Gone, NoRoom, TooLarge, TooSlow, discard_rest
from taskmonitor.serving.headers import guarded
from taskmonitor.serving.known import Known
from taskmonitor.serving.patience import Waiting
from taskmonitor.serving.readable import request_of
from taskmonitor.serving.streaming import CHUNK, Streams, send_part
from taskmonitor.serving.threads import Threads

READING = ("GET", "HEAD", "OPTIONS")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # what may not be in a header


@dataclass(slots=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | StreamingHttpResponse


class Handler(BaseHandler):
    """The ASGI application."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.load_middleware()
        at_once = 1 if connection.vendor == "sqlite" else 4
        self._threads = Threads("request", threads, at_once=at_once)
        self._reading = Threads(
            "reading", (threads + 1) // 2, at_once=at_once
        )  # who reads waits for no writer
        self._bodies, self._known = Bodies(), Known()
        self.streams = Streams(self._reading)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = self._known.knows(scope)
        try:
            async with self._bodies.read(scope, receive, known=known) as body:
                await self._serve(scope, body, receive, send, known=known)
        except Gone:
            pass
        except Ambiguous:
            await _send_refusal(send, 400)
        except TooSlow:
            await _send_refusal(send, 408)
        except NoRoom:
            await _send_refusal(send, 503, (b"retry-after", b"1"))

    async def _serve(self, scope: Scope, body: BytesIO, receive: Receive, send: Send, *, known: bool) -> None:
        content = body.getvalue()  # a request closes its body
        threads = self._reading if scope["method"] in READING else self._threads

        async def answered() -> Answer | HttpResponse:
            came = monotonic()
            return await threads.run(
                lambda: self._answer(request_of(scope, type(body)(content)), came), later=not known
            )

        answer = await answered()
        if not known and "user" in scope["facts"]:
            self._known.learn(scope)
        if isinstance(answer, HttpResponse) and answer.waiting.then is None:  # type: ignore[attr-defined]
            await self.streams.outlast(answer.waiting.until())  # type: ignore[attr-defined]
            await threads.run(answer.close)
            answer = await answered()
        if isinstance(answer, HttpResponse):
            answer = await self._outwait(answer)
        refused = isinstance(body, TooLarge)
        if refused:
            answer.headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        last = b""
        if isinstance(answer.body, StreamingHttpResponse):
            await self.streams.send(answer.body, receive, send)
        elif refused or len(answer.body) > CHUNK:
            await send_part(send, answer.body)
        else:
            last = answer.body
        if refused:
            await discard_rest(receive)
        await send({"type": "http.response.body", "body": last})

    def stop(self) -> None:
        """End the threads."""
        self._threads.stop()
        self._reading.stop()
        self.streams.stop()

    async def _outwait(self, response: HttpResponse) -> Answer:
        waiting: Waiting = response.waiting  # type: ignore[attr-defined]
        await self.streams.outlast(waiting.until())
        return await self._reading.run(lambda: self._late_answer(response, waiting))

    def _answer(self, request: ASGIRequest, came: float) -> Answer | HttpResponse:
        """In a thread: run the request, which is all of it unless the response is a stream, or waits."""
        request_came.set(came)
        set_script_prefix(get_script_prefix(request.scope))
        signals.request_started.send(sender=self.__class__, scope=request.scope)
        response = self.get_response(request)
        if isinstance(response, StreamingHttpResponse) and request.method != "HEAD":
            return Answer(response.status_code, _headers(response), response)
        if isinstance(response, HttpResponse) and hasattr(response, "waiting"):
            return response
        body = response.content if isinstance(response, HttpResponse) else b""
        response.close()
        return Answer(response.status_code, _headers(response), body)

    def _late_answer(self, response: HttpResponse, waiting: Waiting) -> Answer:
        """In a thread: the answer of a response that has waited."""
        request_came.set(monotonic())
        close_old_connections()
        if waiting.then:
            waiting.then()
        response.headers["Content-Length"] = str(len(response.content))
        response.close()
        return Answer(response.status_code, _headers(response), response.content)


async def _send_refusal(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    headers = (*headers, *guarded(), (b"connection", b"close"), (b"content-length", b"0"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    cookies = [("Set-Cookie", cookie.output(header="").strip()) for cookie in response.cookies.values()]
    return [(name.encode("ascii"), _sendable(value)) for name, value in [*response.items(), *cookies]]


def _sendable(value: str) -> bytes:
    return (value if value.isprintable() else CONTROL.sub(" ", value)).encode("latin-1")
