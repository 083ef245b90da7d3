"""`/healthz`, `/readyz` and an engine's health, for those who watch the site: answered on the event loop, whatever waits.

They need no login and no Host of ours, for probes call an address: what they say is no secret. However many
ask, the database is looked at once a second, by a thread and on a connection that nothing else uses.
"""

import asyncio
import json
from collections.abc import Callable

from django.db import Error, close_old_connections, connection

from taskmonitor.serving.asgi_types import Scope, Send
from taskmonitor.serving.headers import guarded
from taskmonitor.serving.threads import Threads

FRESH = 1.0  # seconds for which what was found is told again
BOUND = 2.0  # seconds in which the database must answer
HANGS = f"The database has not answered within {BOUND:.0f} s."
AWAY = "The database cannot be reached."
ENGINE = "/ovirt-engine/services/health"
UP, DOWN = "DB Up!Welcome to Health Status!", "Unable to contact Database!"  # to the byte: scripts compare it
RETRY = (b"retry-after", b"5")
Header = tuple[bytes, bytes]


class Probes:
    """Answers probes; `problems` says what is wrong with the work that is done, by the database."""

    PATHS = frozenset({"/healthz", "/readyz", ENGINE})

    def __init__(self, problems: Callable[[], list[str]]) -> None:
        self._problems = problems
        self._thread = Threads("readiness", 1)  # never stopped, for it may hang: it ends with the process
        self._look: asyncio.Task[list[str]] | None = None  # the last one, which may still go on
        self._looked = 0.0  # when it began

    async def __call__(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await _send(scope, send, 405, ["Send a GET."], (b"allow", b"GET, HEAD"))
        elif scope["path"] == "/healthz":
            await _send(scope, send, 200, [])
        elif scope["path"] == ENGINE:
            is_up = not {AWAY, HANGS}.intersection(await self._why_not_ready())
            await (_send_text(scope, send, 200, UP) if is_up else _send_text(scope, send, 503, DOWN, RETRY))
        elif why := await self._why_not_ready():
            await _send(scope, send, 503, why, RETRY)
        else:
            await _send(scope, send, 200, [])

    async def _why_not_ready(self) -> list[str]:
        loop = asyncio.get_running_loop()
        if self._look is None or (self._look.done() and loop.time() - self._looked >= FRESH):
            self._looked = loop.time()
            self._look = asyncio.create_task(self._thread.run(self._found))
        await asyncio.wait([self._look], timeout=max(0, self._looked + BOUND - loop.time()))
        return self._look.result() if self._look.done() else [HANGS]

    def _found(self) -> list[str]:
        """In the thread: what is wrong."""
        try:
            close_old_connections()
            return self._problems()
        except Error:
            connection.close()
            return [AWAY]


async def _send(scope: Scope, send: Send, status: int, why: list[str], *headers: Header) -> None:
    accepts = b"".join(value for name, value in scope["headers"] if name == b"accept")
    if b"json" in accepts:
        text = f"{json.dumps({'ok': not why, 'why': why})}\n"
        await _send_text(scope, send, status, text, *headers, kind="application/json")
    else:
        text = "\n".join(why) or "ok"
        await _send_text(scope, send, status, f"{text}\n", *headers)


async def _send_text(
    scope: Scope,
    send: Send,
    status: int,
    text: str,
    *headers: Header,
    kind: str = "text/plain; charset=utf-8",
) -> None:
    body = text.encode()
    head = [
        (b"content-type", kind.encode()),
        (b"content-length", b"%d" % len(body)),
        *guarded(),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
