"""What becomes of commands, for all streams that follow them: one look at a time serves them all."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import Error
from django.utils import timezone

from coordinator import selectors
from coordinator.changes import MANY, CommandChange, View, changes, look, version
from taskmonitor.stream import Hub, Reader, hub

logger = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between looks
REST = 9  # times as long as a look took nothing is looked at, however long that is
UNSEEN = 2.0  # seconds between news of anything, while there are more live commands than a look reads


@dataclass(frozen=True, slots=True)
class CommandNews:
    """One command has changed, or any may have; what is read of it from `version` on has the change."""

    change: CommandChange | None
    version: int


class Followed:
    """What one reader has not been told yet: the latest of each command that it may see."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waiting: dict[UUID | None, CommandNews] = {}

    def put(self, news: list[CommandNews]) -> None:
        for each in news:
            if each.change is None:
                self._waiting[None] = each
            elif self._sees(each.change):
                self._waiting[each.change.command_id] = self._joined(each.change, each.version)
        if None in self._waiting or len(self._waiting) > MANY:
            self._waiting = {None: CommandNews(None, max(each.version for each in self._waiting.values()))}
        if self._waiting:
            self._reader.call()

    def _sees(self, change: CommandChange) -> bool:
        actor = self._reader.actor
        return actor is not None and selectors.sees(actor, change.user_id)

    def _joined(self, change: CommandChange, version: int) -> CommandNews:
        """What was added and has changed since is still new to the reader."""
        earlier = self._waiting.get(change.command_id)
        added = change.added or bool(earlier and earlier.change and earlier.change.added)
        return CommandNews(replace(change, added=added), version)

    def take(self) -> list[CommandNews]:
        waiting, self._waiting = self._waiting, {}
        return list(waiting.values())


class Commands:
    """Looks at the commands while anybody follows them, in the hub's thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._followed: set[Followed] = set()
        self._starting = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._seen: View
        self._told_of_unseen = 0.0

    @asynccontextmanager
    async def followed_by(self, reader: Reader) -> AsyncIterator[Followed]:
        """Within it, `reader` is called whenever there is something to take."""
        followed = Followed(reader)
        self._followed.add(followed)
        try:
            async with self._starting:
                if self._looking is None:
                    self._seen = await self._hub.ask(lambda: look(timezone.now()))
                    self._looking = asyncio.create_task(self._look())
            yield followed
        finally:
            self._followed.remove(followed)
            if not self._followed and self._looking:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        pause = INTERVAL
        while True:
            await asyncio.sleep(pause)
            begun = time.monotonic()
            try:
                await self._look_once()
            except Error as error:  # nor can the feed be read then
                logger.warning("Commands cannot be read now: %s", error)
            pause = max(INTERVAL, REST * (time.monotonic() - begun))

    async def _look_once(self) -> None:
        before = self._seen
        self._seen = await self._hub.ask(lambda: look(timezone.now()))
        differing = changes(before, self._seen)
        if self._seen.partial and self._unseen_is_due():
            differing = None
        now = version(timezone.now())
        news = [CommandNews(None, now)] if differing is None else [CommandNews(c, now) for c in differing]
        for followed in self._followed if news else ():
            followed.put(news)

    def _unseen_is_due(self) -> bool:
        now = time.monotonic()
        if now < self._told_of_unseen + UNSEEN:
            return False
        self._told_of_unseen = now
        return True


commands = Commands(hub)
