"""Waits for commands to end, on an event loop: one look at the table serves all who wait.

No thread, connection or transaction is held for who waits; the looks have one thread, while anybody does.
"""

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import Error, close_old_connections, connections

from coordinator.models import OVER, CommandEntity

logger = logging.getLogger(__name__)

LOOK = 0.05  # seconds between looks


class Watch:
    """Looks at the commands that somebody waits for. All of it runs on one event loop."""

    def __init__(self) -> None:
        self._awaited: dict[asyncio.Future[None], UUID] = {}
        self._looking: asyncio.Task[None] | None = None

    async def over(self, command_id: UUID, patience: float) -> None:
        """Return when the command is over or gone, at the latest after `patience` seconds."""
        future = asyncio.get_running_loop().create_future()
        self._awaited[future] = command_id
        self._looking = self._looking or asyncio.create_task(self._look())
        try:
            await asyncio.wait([future], timeout=patience)
        finally:
            del self._awaited[future]
            if not self._awaited and self._looking:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="waiting")
        try:
            while True:
                awaited = dict(self._awaited)
                live = await loop.run_in_executor(thread, _live, set(awaited.values()))
                for future, command_id in awaited.items():
                    if command_id not in live and not future.done():
                        future.set_result(None)
                await asyncio.sleep(LOOK)
        finally:
            thread.submit(connections.close_all)
            thread.shutdown(wait=False)


watch = Watch()


def _live(command_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the commands that are not over; all of them while the database does not answer."""
    close_old_connections()
    try:
        found = CommandEntity.objects.filter(pk__in=command_ids).exclude(status__in=OVER)
        return set(found.values_list("pk", flat=True))
    except Error as error:
        logger.warning("The commands that are waited for cannot be read now: %s", str(error).strip())
        return set(command_ids)
