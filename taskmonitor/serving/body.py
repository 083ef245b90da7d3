"""The body of a request: read whole, and within bounds, before the request is given a thread."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO

from django.conf import settings
from django.core.exceptions import RequestDataTooBig

from taskmonitor.serving.asgi_types import Receive, Scope

PATIENCE = 60  # seconds in which the whole body must have come
ROOM = 32_000_000  # bytes of all bodies of users whose requests are not answered yet
ROOM_FOR_STRANGERS = 4_000_000  # likewise of those who are not known yet
LINGER = 1  # seconds, and bytes, that a refused client may still send, so that it comes to read why
LINGER_SIZE = 8_000_000
FRAMING = {b"content-length", b"transfer-encoding"}


class Gone(Exception):
    """The client went away before its request was complete."""


class TooSlow(Exception):
    """The body had not come in time."""


class NoRoom(Exception):
    """There are too many large bodies, and this one has been coming for longest."""


class Ambiguous(Exception):
    """The head says in two ways where the body ends; a proxy may have gone by the other one."""


class TooLarge(BytesIO):
    """What stands for a body beyond the limit: to read it raises Django's RequestDataTooBig."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise RequestDataTooBig(
            f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes, the most that is accepted."
        )

    readline = read


class Room:
    """What bodies may take of the memory together, from their first byte until their requests are answered.

    When it is full, of those that have not come whole the oldest gives way: who sends a body in one go is
    not held up by those who never end theirs. A body is known by the timeout under which it is read.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._sizes: dict[asyncio.Timeout, int] = {}
        self._unfinished: dict[asyncio.Timeout, None] = {}  # the oldest first

    def grow(self, body: asyncio.Timeout, size: int) -> None:
        self._left -= size
        self._sizes[body] = self._sizes.get(body, 0) + size
        self._unfinished[body] = None
        while self._left < 0:
            oldest = next(iter(self._unfinished))
            self.leave(oldest)
            oldest.reschedule(0)

    def finish(self, body: asyncio.Timeout) -> None:
        """The body has come whole; NoRoom if it had to give way meanwhile."""
        if body not in self._sizes:
            raise NoRoom
        del self._unfinished[body]

    def leave(self, body: asyncio.Timeout) -> None:
        self._unfinished.pop(body, None)
        self._left += self._sizes.pop(body, 0)

    def holds(self, body: asyncio.Timeout) -> bool:
        return body in self._sizes


class Bodies:
    """Reads bodies. Those of strangers have a room of their own, so that they take nothing from users."""

    def __init__(self) -> None:
        self._of_users, self._of_strangers = Room(ROOM), Room(ROOM_FOR_STRANGERS)

    @asynccontextmanager
    async def read(self, scope: Scope, receive: Receive, *, known: bool) -> AsyncIterator[BytesIO]:
        """The body, or TooLarge as soon as it is known to be that; the rest of it is then left unread.

        A body of unknown length gets a Content-Length, which Django's request and REST framework go by.
        """
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        declared = _declared_length(scope)
        if (declared or 0) > limit:
            yield TooLarge()
            return
        room, reading = self._of_users if known else self._of_strangers, asyncio.timeout(PATIENCE)
        try:
            body = await _receive(receive, room, reading, limit)
            size = body.tell()
            if declared is None and size:
                scope["headers"] = [*scope["headers"], (b"content-length", b"%d" % size)]
            body.seek(0)
            yield TooLarge() if size > limit else body
        finally:
            room.leave(reading)


async def _receive(receive: Receive, room: Room, reading: asyncio.Timeout, limit: int) -> BytesIO:
    """The body, or its beginning if that is more than the limit already."""
    body, more = BytesIO(), True
    try:
        async with reading:
            while more and body.tell() <= limit:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                room.grow(reading, body.write(message.get("body", b"")))
                more = message.get("more_body", False)
    except TimeoutError:
        raise (TooSlow if room.holds(reading) else NoRoom) from None
    room.finish(reading)
    return body


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
    found = {name: value for name, value in scope["headers"] if name in FRAMING}
    if len(found) > 1:
        raise Ambiguous
    length = found.get(b"content-length")
    return None if length is None else int(length)
