"""What a worker does: it claims commands for itself, and goes on with each for as long as there is something to do.

A worker may die anywhere in here. What it had committed stands; what it had not is done again by whoever
claims the command next, except `execute` itself, which is begun anew only if the command says that it can.
"""

import logging
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from types import FrameType
from typing import Any

from django.db import Error, connection
from django.db.models import Count

from coordinator import nudge, registry
from coordinator.clock import Clock, DatabaseClock
from coordinator.command import Child, Engine, Tally
from coordinator.commits import committing
from coordinator.engine.acts import Acts, held
from coordinator.engine.commit import commit
from coordinator.engine.decide import decide
from coordinator.engine.outcome import HOLD, Act, Columns, Facts, Outcome, PolledAgain
from coordinator.engine.queue import Claim, Lease, Superseded, claim, next_due, release_polled
from coordinator.engine.sandbox import Sandbox, named
from coordinator.engine.slots import Slot
from coordinator.models import BAD, OVER, CommandEntity, CommandStatus, Lane
from coordinator.rebuild import Unbuildable, children_of, rebuild
from coordinator.whoami import worker_name
from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.logs import about
from taskmonitor.statements import Prepared

logger = logging.getLogger(__name__)

BATCH = 100  # commands that are claimed at once, to be executed
POLLS = 500  # likewise to be polled, for polls take little
LOOK = 2.0  # seconds between looks at the table if nothing wakes us
AFTER_TROUBLE = 1.0  # seconds until the database is asked again after it failed
TOGETHER = 0.05  # of their delay: polls due within it are due at once, for many cost little more than one
UNCOMMITTED = 0.2  # seconds that polls may wait to be committed together
PROGRESS = 1.0  # seconds between two reports of progress that are written

_HELD = Prepared(
    lambda keys: CommandEntity.objects.filter(pk__among=keys, lease_until__isnull=False).order_by(
        "created_at", "position"
    )
)
_LIVE_CHILD = Prepared(
    lambda parent: (
        CommandEntity.objects.filter(parent_command_id=parent).exclude(status__in=OVER).values_list("pk")[:1]
    )
)

_TALLY = Prepared(
    lambda parent: (
        CommandEntity.objects.filter(parent_command_id=parent)
        .order_by()
        .values_list("status")
        .annotate(number=Count("pk"))
    )
)


class Pump:
    """Claims commands of one lane and works on them. After SIGTERM it finishes the present command and stops."""

    def __init__(self, lane: Lane, slot: Slot) -> None:
        self._lane, self._slot = lane, slot
        self._stopping = False
        self._clock = DatabaseClock()
        self._jumps = Clock(self._clock())
        self._name = worker_name(os.getpid())
        self._listener = nudge.listener(lane)

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        types = [command.name for command in registry.commands()]
        sandbox = Sandbox(self._slot)
        with sandbox.ready():
            while not self._stopping:
                try:
                    if not self._turn(types, sandbox):
                        self._wait(types)
                except Error as error:
                    logger.warning("The database cannot be asked for work: %s", str(error).strip())
                    connection.close()
                    sleep(AFTER_TROUBLE)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        self._listener.wake()

    def _turn(self, types: Sequence[str], sandbox: Sandbox) -> bool:
        now = self._clock()
        self._jumps.was_set_back(now)
        claims = claim(
            now,
            lapsed=self._jumps.leases_at(now),
            worker=self._name,
            limit=POLLS if self._lane == Lane.POLL else BATCH,
            lane=self._lane,
            types=types,
        )
        if claims:
            work(claims, self._clock, sandbox, goes_on=lambda: not self._stopping)
        return bool(claims)

    def _wait(self, types: Sequence[str]) -> None:
        now = self._clock()
        left = (next_due(self._lane, self._jumps.leases_at(now), types) - now).total_seconds()
        if left > 0 and not self._stopping:
            self._listener.wait(min(left, LOOK))


def work(
    claims: Sequence[Claim],
    clock: Callable[[], datetime],
    sandbox: Sandbox,
    *,
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """One pass over claimed commands, the first submitted first; what is not begun is let go of if it is to stop."""
    fences = dict(claims)
    leases = [Lease(row) for row in _HELD.all(list(fences)) if row.fence == fences[row.pk]]
    polled, sandbox.is_left_alone = Polled(clock), False
    for place, lease in enumerate(leases):
        if sandbox.is_left_alone:
            break
        if not goes_on():
            _let_go(leases[place:], clock())
            break
        Run(lease, clock, sandbox, polled).run()
    polled.commit()


def _let_go(leases: Sequence[Lease], now: datetime) -> None:
    with committing("give-back"):
        for lease in leases:
            with _unless_superseded():
                lease.release(now, now)


class Polled:
    """Commands that go on as they are, to be let go of together."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._leases: dict[int, list[Lease]] = defaultdict(list)
        self._since = 0.0

    def add(self, lease: Lease, seconds: int) -> None:
        if not self._leases:
            self._since = monotonic()
        self._leases[seconds].append(lease)

    def commit_old(self) -> None:
        """Commit them if they have waited for long; before a call that may take long."""
        if self._leases and monotonic() - self._since > UNCOMMITTED:
            self.commit()

    def commit(self) -> None:
        """Release them, each until its next poll. If the process dies before this commit, they are polled once more."""
        polled, self._leases = self._leases, defaultdict(list)
        if not polled:
            return
        now = self._clock()
        with committing("polls"):
            for seconds, leases in polled.items():
                release_polled(leases, now, due_at=_due(now, seconds), poll_delay=seconds)


def _due(now: datetime, delay: int) -> datetime:
    """When to poll again: after the delay, or so little sooner that others are due at the same instant."""
    slot, due = delay * TOGETHER, now + timedelta(seconds=delay)
    return datetime.fromtimestamp(due.timestamp() // slot * slot, UTC)


@contextmanager
def _unless_superseded() -> Iterator[None]:
    try:
        yield
    except Superseded:
        logger.info("A command was taken over meanwhile; what was done here does not count")


class Run(Engine):
    """One pass over one command; what the command asks of its engine is asked of this."""

    def __init__(self, lease: Lease, clock: Callable[[], datetime], sandbox: Sandbox, polled: Polled) -> None:
        self.lease, self.row, self.clock = lease, lease.row, clock
        self._acts, self._polled = Acts(sandbox), polled
        self._progress: dict[str, Any] = {}
        self._progressed = 0.0

    def run(self) -> None:
        """Do what can be done now, act after act. Nothing that the command does wrong gets out of here."""
        with about({"command_id": self.row.pk, "job_id": self.row.job_id}), _unless_superseded():
            try:
                self._run()
            except Superseded:
                raise
            except Unbuildable as error:
                self._commit(held(self.row, str(error)))
            except BaseException as error:
                if is_database_trouble(error):
                    raise
                logger.exception("Command id=%s cannot go on", self.row.pk)
                self._commit(held(self.row, f"It cannot go on: {named(error)}"))

    def _run(self) -> None:
        command = rebuild(self.row)
        command.engine = self
        act: Act | None = None
        while True:
            live = bool(self.row.children) and self._has_live_children()
            facts = Facts(self.row, command, live, self.clock)
            if act is None:
                resumable = command.resumable and self.row.attempts < command.most_attempts
                act = self._acts.of[decide(self.row, live, facts.now, resumable=resumable)]
            self._polled.commit_old()
            outcome = act(facts)
            if isinstance(outcome, PolledAgain):
                if not self._progress:
                    self._polled.add(self.lease, outcome.seconds)
                    return
                due = facts.now + timedelta(seconds=outcome.seconds)
                columns = Columns(poll_delay=outcome.seconds, polls=self.row.polls + 1)
                outcome = Outcome("poll", due, columns=columns)
            self._commit(outcome)
            command.planned, command.status = [], CommandStatus(self.row.status or CommandStatus.NOT_STARTED)
            if outcome.due is not HOLD:
                return
            act = outcome.then

    def _commit(self, outcome: Outcome) -> None:
        if self._progress:
            outcome.progress.update(self._progress)
            self._progress, self._progressed = {}, monotonic()
        commit(self.lease, outcome, self.clock)

    def _has_live_children(self) -> bool:
        return bool(_LIVE_CHILD.rows(self.row.pk))

    # What a command may ask of its engine

    def checkpoint(self, data: Any) -> None:
        self._commit(Outcome("checkpoint", HOLD, columns=Columns(checkpoint=data)))

    def progress(self, **fields: Any) -> None:
        self._progress |= {f"progress_{name}": value for name, value in fields.items() if value is not None}
        if monotonic() - self._progressed >= PROGRESS:
            self._commit(Outcome("progress", HOLD))

    def children(self) -> Sequence[Child]:
        return children_of(self.row.command_id) if self.row.children else []

    def tally(self) -> Tally:
        if not self.row.children:
            return Tally()
        counts: dict[str, int] = dict(_TALLY.rows(self.row.pk))
        live = sum(number for status, number in counts.items() if status not in OVER)
        failed = sum(number for status, number in counts.items() if status in OVER and status in BAD)
        total = sum(counts.values())
        return Tally(self.row.children - total, live, failed, total - live - failed)

    def adopt(self) -> bool:
        self.lease.write(children=self.row.children + 1)
        return True
