"""What a web server serves: `uvicorn taskmonitor.asgi:application`, or `manage.py up`."""

import asyncio
import os
from inspect import iscoroutinefunction

import django
from django.conf import settings
from django.urls import Resolver404, resolve

from taskmonitor.serving.body import Receive, Scope, Send

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskmonitor.settings")
django.setup(set_prefix=False)

from taskmonitor.serving.requests import RequestHandler  # noqa: E402 - handlers load the middleware
from taskmonitor.serving.streams import StreamHandler  # noqa: E402


class Application:
    """Gives a request to the handler of its view's kind."""

    def __init__(self) -> None:
        self.requests = RequestHandler(threads=settings.THREADS, streaming_threads=4)
        self.streams = StreamHandler()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif _is_asynchronous(scope["path"]):
            await self.streams(scope, receive, send)
        else:
            await self.requests(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.streams.end_all()
        await asyncio.to_thread(self.requests.stop)
        await send({"type": "lifespan.shutdown.complete"})


def _is_asynchronous(path: str) -> bool:
    try:
        return iscoroutinefunction(resolve(path).func)
    except Resolver404:
        return False


application = Application()
