"""What the web server of `manage.py up` serves."""

import asyncio
import os

import django
from django.conf import settings
from django.urls import get_resolver

from taskmonitor.serving.asgi_types import Receive, Scope, Send

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskmonitor.settings")
django.setup(set_prefix=False)

from coordinator import signs  # noqa: E402 - they need what setup loads
from taskmonitor.serving.bounds import bound_connections  # noqa: E402
from taskmonitor.serving.handler import Handler  # noqa: E402
from taskmonitor.serving.prepare import join_site  # noqa: E402
from taskmonitor.serving.probes import Probes  # noqa: E402
from taskmonitor.serving.requests import noted  # noqa: E402
from taskmonitor.serving.versions import Unfit  # noqa: E402


class Application:
    """Requests, and the life of the server around them."""

    def __init__(self) -> None:
        self.handler = Handler(settings.THREADS)
        self.probes = Probes(signs.problems)
        get_resolver().url_patterns  # noqa: B018 - imports the views now, not in the first request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] in Probes.PATHS:
            await self.probes(scope, send)
        else:
            await noted(self.handler, scope, receive, send)

    def end_streams(self) -> None:
        """The server is to stop; it does not while streams are open."""
        self.handler.streams.end_lasting()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.to_thread(join_site)
        except Unfit as error:
            await send({"type": "lifespan.startup.failed", "message": str(error).strip()})
            return
        bound_connections()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self.handler.stop)
        await send({"type": "lifespan.shutdown.complete"})


application = Application()
