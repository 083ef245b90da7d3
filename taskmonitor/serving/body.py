"""The body of a request: read whole, and within bounds, before the request is given a thread."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO

from django.conf import settings
from django.core.exceptions import RequestDataTooBig

from taskmonitor.serving.asgi_types import Receive, Scope

PATIENCE = 60  # seconds in which the whole body must have come
ROOM = 32_000_000  # bytes of all bodies at once
LINGER = 1  # seconds, and bytes, that a refused client may still send, so that it comes to read why
LINGER_SIZE = 8_000_000


class Gone(Exception):
    """The client went away before its request was complete."""


class TooSlow(Exception):
    """The body had not come in time."""


class NoRoom(Exception):
    """There are too many large bodies already."""


class TooLarge(BytesIO):
    """What stands for a body beyond the limit: to read it raises Django's RequestDataTooBig."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise RequestDataTooBig(
            f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes, the most that is accepted."
        )

    readline = read


class Bodies:
    """Reads bodies, and knows how much of them is in memory."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def read(self, scope: Scope, receive: Receive) -> AsyncIterator[BytesIO]:
        """The body, or TooLarge as soon as it is known to be that; the rest of it is then left unread.

        A body of unknown length gets a Content-Length, which Django's request and REST framework go by.
        """
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        declared = _declared_length(scope)
        body, size = BytesIO(), 0
        more = declared is None or declared <= limit
        try:
            deadline = asyncio.get_running_loop().time() + PATIENCE
            while more:
                try:
                    async with asyncio.timeout_at(deadline):
                        message = await receive()
                except TimeoutError:
                    raise TooSlow from None
                if message["type"] == "http.disconnect":
                    raise Gone
                part = body.write(message.get("body", b""))
                size, self._held = size + part, self._held + part
                if self._held > ROOM:
                    raise NoRoom
                more = message.get("more_body", False) and size <= limit
            if declared is None and size:
                scope["headers"] = [*scope["headers"], (b"content-length", b"%d" % size)]
            if max(declared or 0, size) > limit:
                yield TooLarge()
            else:
                body.seek(0)
                yield body
        finally:
            self._held -= size


async def discard_rest(receive: Receive) -> None:
    """Take in and drop a little of what a refused client still sends.

    If the connection were closed on it at once, the client's system would throw the answer away.
    """
    discarded, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while more and discarded < LINGER_SIZE:
                message = await receive()
                discarded += len(message.get("body", b""))
                more = message.get("more_body", False)


def _declared_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return None
