"""For authors of commands: run one through all its states, with a clock of one's own and workers that are killed.

    def test_it_copies(db: None) -> None:
        worker = Worker()
        handle = worker.submit(CopyFile, source="a", target="b")
        worker.run()
        assert handle.result() == Copied(size=12)

It needs the `db` of pytest-django, and no running site. docs/commands.md tells more.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Min
from django.db.models.functions import Coalesce

from coordinator import commits
from coordinator.command import Command, Context
from coordinator.engine.queue import claim
from coordinator.engine.sandbox import Sandbox
from coordinator.engine.worker import work
from coordinator.executor import Handle, deliver, execute_async
from coordinator.models import ENDED, CommandEntity, CommandStatus
from coordinator.rebuild import rebuild
from taskmonitor.models import SYSTEM, Actor, Job

MOST_PASSES = 20_000  # after which a command is taken not to end at all; one may be polled for days


class Killed(BaseException):
    """The worker died here. What it had committed stands."""


@dataclass
class Worker:
    """Submits commands, and does what workers do, one pass at a time, at the time that the test says.

    `kill_at` names a commit as the TASKMONITOR_FAILPOINT of a real worker does: `before-begin`, or
    `after-checkpoint:2` for the second. The worker dies there. Who goes on is a new one, which gets the
    command when the dead one's lease has run out; `run` moves the clock there.
    """

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 3, tzinfo=UTC))

    def submit(
        self,
        command: type[Command[Any, Any]],
        context: Context | None = None,
        actor: Actor = SYSTEM,
        **parameters: Any,
    ) -> Handle:
        """A new command; the errors are those of `execute_async`."""
        return execute_async(command, parameters, context, now=self.now, actor=actor)

    def deliver(self, handle: Handle, data: Any = None) -> None:
        """The event that the command waits for comes, with that data."""
        deliver(handle.command_id, data, now=self.now)

    def turn(self, seconds: float = 0, *, kill_at: str = "") -> int:
        """One pass, so many seconds later, over all that is due; how many commands were."""
        self.now += timedelta(seconds=seconds)
        claims = claim(self.now, worker="testing/0/0", limit=1000)
        sandbox = Sandbox()
        with _must_die_at(kill_at), sandbox.ready():
            work(claims, lambda: self.now, sandbox)
        return len(claims)

    def run(self, *, events: Mapping[str, Any] | None = None, kill_at: str = "") -> None:
        """Passes until nothing is left to do or the worker is dead, each at the time when something is due.

        Whoever waits for one of `events` gets it at once, with its data.
        """
        with _must_die_at(kill_at):
            for _ in range(MOST_PASSES):
                self._deliver_all(events or {})
                due = CommandEntity.objects.filter(due_at__isnull=False)
                free_at = due.aggregate(first=Min(Coalesce("lease_until", "due_at")))["first"]
                if free_at is None:
                    return
                self.now = max(self.now, free_at)
                self.turn()
            raise AssertionError(f"it has not ended after {MOST_PASSES} passes")

    def row(self, handle: Handle) -> CommandEntity:
        """What is stored of the command."""
        return CommandEntity.objects.get(pk=handle.command_id)

    def _deliver_all(self, events: Mapping[str, Any]) -> None:
        for row in CommandEntity.objects.filter(waits_for__in=events, ended_at=None, event__isnull=True):
            self.deliver(Handle(row.pk), events[row.waits_for])


def crash_everywhere(
    command: type[Command[Any, Any]],
    *,
    events: Mapping[str, Any] | None = None,
    check: Callable[[Handle], None] = lambda handle: None,
    **parameters: Any,
) -> list[str]:
    """Run the command undisturbed, then once for each failpoint that it passed, killed there; which those are.

    Each time it must end as it did undisturbed, with its job, and leave nothing to do. Only if it, or a
    child, is not resumable and was cut off while it executed may it end otherwise. After each run `check`
    may look at what the command did; it must clear away what would be in the way of the next.
    """
    worker = Worker()
    passed: list[str] = []
    undisturbed = worker.submit(command, **parameters)
    with _reaching(passed.append):
        worker.run(events=events)
    _assert_over(undisturbed)
    check(undisturbed)
    for number in range(len(passed)):
        handle = worker.submit(command, **parameters)
        with _reaching(_counter(number)):
            worker.run(events=events)
        may_differ = _is_cut_off()
        worker.run(events=events)
        _assert_over(handle)
        if handle.status != undisturbed.status and not may_differ:
            error = worker.row(handle).error
            raise AssertionError(f"killed at {passed[number]} it is {handle.status}: {error}")
        check(handle)
    return passed


def _is_cut_off() -> bool:
    """Whether there is a command that was executing and cannot be resumed."""
    executing = CommandEntity.objects.filter(status=CommandStatus.ACTIVE, executed=False)
    return any(not rebuild(row).resumable for row in executing)


def _assert_over(handle: Handle) -> None:
    row = CommandEntity.objects.get(pk=handle.command_id)
    assert row.status in ENDED, f"it is {row.status}: {row.error}"
    assert row.callback_notified, "its callback was not told"
    assert (row.due_at, row.lease_until) == (None, None), "it is still to be looked at"
    if row.owns_job and row.job_id:
        job = Job.objects.get(pk=row.job_id)
        ended = "FINISHED" if row.status == CommandStatus.ENDED_SUCCESSFULLY else "FAILED"
        assert (job.status, job.steps_open) == (ended, 0), "its job did not end with it"


@contextmanager
def _must_die_at(failpoint: str) -> Iterator[None]:
    """Within it the worker dies there, if any place is named; that it does not come to it is an error."""
    if not failpoint:
        yield
        return
    name, _, count = failpoint.partition(":")
    with _reaching(_counter(int(count or 1) - 1, name)) as deaths:
        yield
    assert deaths, f"the worker did not come to {failpoint}"


def _counter(skipped: int, name: str = "") -> Callable[[str], bool]:
    """Says whether this is the failpoint of that name, or any, after so many others."""
    left = skipped

    def is_it(reached: str) -> bool:
        nonlocal left
        if name and name != reached:
            return False
        left -= 1
        return left < 0

    return is_it


@contextmanager
def _reaching(listener: Callable[[str], bool | None]) -> Iterator[list[str]]:
    """Within it the listener hears of each failpoint, and where it says so the worker dies: it commits nothing more.

    A command's own code may catch what is raised there, but not get anything committed.
    """
    deaths: list[str] = []

    def reach(name: str) -> None:
        if deaths or listener(name):
            deaths.append(name)
            raise Killed(name)

    before, commits.reach = commits.reach, reach
    try:
        yield deaths
    except Killed:
        pass
    finally:
        commits.reach = before
