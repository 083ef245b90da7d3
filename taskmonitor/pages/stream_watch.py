"""Whether the readers of streams may still read them, asked of the database for all of them at once."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error
from django.utils import timezone

from taskmonitor.selectors.access import session_actors
from taskmonitor.stream import Hub, Reader, hub

logger = logging.getLogger(__name__)

INTERVAL = 3.0  # seconds between looks; five after a logout no stream may go on


class Watch:
    """Gives each reader the rights that its user has now, and shuts it out once its session has ended.

    A change of password ends a user's sessions, and a user who is not active has none.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._sessions: dict[Reader, str] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def keeps(self, reader: Reader, session_key: str) -> Iterator[None]:
        """Within it, the reader of that session is looked after."""
        self._sessions[reader] = session_key
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            del self._sessions[reader]
            if not self._sessions:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self._look_once()
            except Error as error:  # nor can the feed be read then
                logger.warning("Sessions of streams cannot be read now: %s", error)

    async def _look_once(self) -> None:
        sessions = self._sessions.copy()
        actors = await self._hub.ask(lambda: session_actors(set(sessions.values()), timezone.now()))
        for reader, session_key in sessions.items():
            actor = actors.get(session_key)
            if actor is None:
                reader.shut_out()
            else:
                reader.actor = actor


watch = Watch(hub)
