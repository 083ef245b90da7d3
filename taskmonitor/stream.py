"""Live changes for many readers at once: one look at the feed serves them all.

A process has one `hub`. While anybody reads, it looks at the feed right after each commit of this process,
and twice a second for the commits of others. It knows nothing of how its readers are served.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.db import Error, close_old_connections, connection, connections

from taskmonitor import feed
from taskmonitor.lifecycle import Status
from taskmonitor.metrics import STREAM_READERS
from taskmonitor.models import Actor, Event, Right, Step, Verb

logger = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between looks for what other processes committed
PAUSE = 0.05  # seconds after a look in which commits gather for the next one
BATCH = 500  # events read at once
BENEATH = "beneath"  # in place of a verb: the step itself has not changed, but something far beneath it has
TRIES = 2  # looks in a row that fail until the feed is said not to be readable
HANGS = 5  # seconds after which a look has failed
RECENT = 5000  # changes kept in memory; a reader further behind is served from the database

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Change:
    """One event as a reader needs it: what to fetch again, and who may."""

    position: int
    job_id: UUID
    owner_id: int | None
    step_id: UUID | None
    parent_step_id: UUID | None
    version: int
    verb: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Changes up to `position` were missed; whoever reads must fetch all of its view anew."""

    position: int


class Hub:
    """Looks at the feed for its readers. All of it runs on one event loop, the database in a thread of its own."""

    def __init__(self) -> None:
        self._readers = 0
        self._starting = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._looking: asyncio.Task[None] | None = None
        self._recent: deque[Change] = deque()
        self._behind = self.last = 0  # `_recent` has every change behind the one position up to the other
        self._failed = 0  # looks in a row
        self._advanced = asyncio.Event()  # set, and replaced, whenever `last` grows

    @asynccontextmanager
    async def reader(self, actor: Actor, after: int | None = None) -> AsyncIterator["Reader"]:
        """A reader that has seen all up to the position `after`, or else all that there is now."""
        self._readers += 1
        STREAM_READERS.inc()
        try:
            async with self._starting:
                if self._looking is None:
                    await self._start()
            lost = after is not None and await self.ask(lambda: feed.lost(after))
            yield Reader(self, actor, self.last if after is None or lost else after, lost=lost)
        finally:
            self._readers -= 1
            STREAM_READERS.dec()
            if not self._readers:
                self._stop()

    @property
    def readable(self) -> bool:
        """Whether changes can be read; if not, readers are told nothing, and had better leave."""
        return self._failed < TRIES

    async def behind(self, position: int) -> list[Change] | Reset:
        """The next changes behind `position`; Reset if some of them are gone."""
        if position >= self._behind:
            newest_first = takewhile(lambda change: change.position > position, reversed(self._recent))
            return list(newest_first)[::-1]
        if await self.ask(lambda: feed.lost(position)):
            return Reset(self.last)
        return await self.ask(lambda: _read(position))

    async def advance(self, patience: float) -> None:
        """Return when there are new changes, at the latest after `patience` seconds."""
        assert self._looking  # noqa: S101 - there is a reader
        advanced = asyncio.ensure_future(self._advanced.wait())
        try:
            await asyncio.wait(
                {advanced, self._looking}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            advanced.cancel()
        if self._looking.done():
            self._looking.result()

    def wake(self) -> None:
        """Let every reader look whether there is anything for it."""
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def _start(self) -> None:
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="stream")
        self._behind = self.last = await self.ask(feed.last)
        self._failed = 0
        self._looking = asyncio.create_task(self._look())

    def _stop(self) -> None:
        looking, self._looking, thread, self._thread = self._looking, None, self._thread, None
        self._recent.clear()
        if looking:
            looking.cancel()
        if thread:
            thread.submit(connections.close_all)
            thread.shutdown(wait=False)

    async def _look(self) -> None:
        loop, committed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended, and its readers with it
                loop.call_soon_threadsafe(committed.set)

        stop = feed.listen(wake)
        try:
            while True:
                committed.clear()
                if not await self._look_once():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(committed.wait(), INTERVAL)
                else:
                    await asyncio.sleep(PAUSE)
        finally:
            stop()

    async def _look_once(self) -> bool:
        try:
            changes = await asyncio.wait_for(self.ask(lambda: _read(self.last)), HANGS)
        except (Error, TimeoutError) as error:
            logger.warning("The feed cannot be read now: %s", str(error) or "no answer")
            self._failed += 1
            self.wake()
            return False
        self._failed = 0
        for change in changes:
            self._recent.append(change)
        while len(self._recent) > RECENT:
            self._behind = self._recent.popleft().position
        if changes:
            self.last = changes[-1].position
            self.wake()
        return bool(changes)

    async def ask(self, query: Callable[[], Result]) -> Result:
        """The answer to a question to the database, asked in the hub's own thread."""

        def ask() -> Result:
            close_old_connections()
            return query()

        return await asyncio.get_running_loop().run_in_executor(self._thread, ask)


class Reader:
    """One who follows the feed as far as `actor` may see it; the actor can be replaced, or shut out, at any time."""

    def __init__(self, hub: Hub, actor: Actor, position: int, *, lost: bool) -> None:
        self.actor: Actor | None = actor
        self.position = position
        self._hub = hub
        self._lost = lost
        self._called = False

    async def news(self, patience: float) -> list[Change] | Reset:
        """What happened since the last call, as soon as anything did; an empty list after `patience` seconds.

        So it is for a reader that was called away meanwhile. Nothing more happens for one that was shut out, nor
        while the feed cannot be read.
        """
        if self._lost:
            self._lost = False
            return Reset(self.position)
        patient_until = time.monotonic() + patience
        while self.actor and not self._called and self._hub.readable:
            left = patient_until - time.monotonic()
            if left <= 0:
                break
            if self.position >= self._hub.last:
                await self._hub.advance(left)
            found = await self._hub.behind(self.position)
            if isinstance(found, Reset):
                self.position = found.position
                return found
            if found:
                self.position = found[-1].position
            if seen := [change for change in found if self._sees(change)]:
                return seen
        self._called = False
        return []

    def call(self) -> None:
        """Have it wait no longer: there is news of something that is not in the feed."""
        self._called = True
        self._hub.wake()

    def shut_out(self) -> None:
        """Let it see nothing more, from now on."""
        self.actor = None
        self._hub.wake()

    def _sees(self, change: Change) -> bool:
        actor = self.actor
        return actor is not None and (actor.may(Right.VIEW_ALL) or change.owner_id == actor.user_id)


hub = Hub()


def _read(after: int) -> list[Change]:
    """The changes of the next events; those of steps that only look different stand in front of what caused that."""
    events = feed.read(after=after, limit=BATCH)
    touched = {event.step_id for event in events if event.step_id}
    places = _places(touched) if touched else {}
    changes: list[Change] = []
    told: set[tuple[UUID, int]] = set()
    for event in events:
        change = partial(
            Change,
            position=event.position,
            job_id=event.job_id,
            owner_id=event.job.owner_id,
            version=event.version,
        )
        for key in _above(event, places):
            if (key, event.version) not in told:
                told.add((key, event.version))
                changes.append(change(step_id=key, parent_step_id=places[key].parent, verb=BENEATH))
        parent = places[event.step_id].parent if event.step_id in places else None
        changes.append(change(step_id=event.step_id, parent_step_id=parent, verb=event.verb))
    return changes


class _Place(NamedTuple):
    """Under which step a step stands, and whether it has ended."""

    parent: UUID | None
    ended: bool


def _places(steps: set[UUID]) -> dict[UUID, _Place]:
    """Of the steps and of all steps above them; one query, however deep."""
    keys = [Step._meta.pk.get_db_prep_value(key, connection) for key in steps]
    above = Step.objects.raw(
        f"""
        WITH RECURSIVE above(id, parent_step_id) AS (
            SELECT id, parent_step_id FROM taskmonitor_step WHERE id IN ({", ".join(["%s"] * len(keys))})
            UNION
            SELECT step.id, step.parent_step_id
            FROM taskmonitor_step AS step JOIN above ON step.id = above.parent_step_id
        )
        SELECT id, parent_step_id, status FROM taskmonitor_step WHERE id IN (SELECT id FROM above)
        """,  # noqa: S608 - nothing but places for values
        keys,
    )
    return {step.pk: _Place(step.parent_step_id, step.ended) for step in above}


def _above(event: Event, places: dict[UUID, _Place]) -> list[UUID]:
    """The steps above the one right over the event's step, if the event changed what they are shown as.

    So it does if something is wrong with the step, or if it was left open beneath a step that has ended.
    """
    above = []
    at = places[event.step_id].parent if event.step_id in places and event.verb != Verb.PROGRESSED else None
    wrong = event.new_status in (Status.FAILED, Status.ABORTED)
    while at in places:
        wrong = wrong or places[at].ended
        above.append(at)
        at = places[at].parent
    return above[1:] if wrong else []
