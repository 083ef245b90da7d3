"""What a worker does with the commands it was handed: execute, poll, end, each with one guarded commit.

A worker may die anywhere in here. What it had committed stands; what it had not is done again by whoever
claims the command next, except `execute` itself, which is begun anew only if the command says that it can.
"""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, InterfaceError, OperationalError, connection, connections
from django.utils import timezone
from pydantic import BaseModel

from coordinator import monitoring, nudge
from coordinator.callbacks import Callback, ChildrenCallback
from coordinator.command import RUNNING, Answer, Child, Command, Engine, Failed, Succeeded, WaitFor
from coordinator.commits import committing
from coordinator.hand import Hand
from coordinator.lease import Claim, Lease, Superseded, wake
from coordinator.limits import limits, time_limit
from coordinator.models import OVER, SETTLED, CommandEntity, CommandStatus
from coordinator.poller import Act, decide
from coordinator.rebuild import Unbuildable, children_of, parsed, rebuild
from coordinator.repository import get_child_command_ids, returned
from coordinator.submission import store_children
from taskmonitor.errors import TaskMonitorError
from taskmonitor.logs import about
from taskmonitor.services.own_work import OwnWork
from taskmonitor.services.text import legible
from taskmonitor.statements import Prepared

logger = logging.getLogger(__name__)

AFTER_ERROR = 0.3  # seconds until what could not be written is written again

Now = Callable[[], datetime]
S = CommandStatus

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


def run_batch(claims: Sequence[Claim]) -> None:
    """Work on claimed commands, given by their ids and fencing numbers, as a task of django-q2's.

    What takes long is kept meanwhile, and what was not begun after a while is given back.
    """
    work(claims, timezone.now, keep=True)


def work(claims: Sequence[Claim], clock: Now, *, keep: bool = False) -> None:
    """One pass over claimed commands. `keep`: a thread renews their leases, by the same clock."""
    try:
        hand = Hand(_held(claims), clock)
        with hand.kept() if keep else nullcontext(), limits():
            for lease in hand:
                Run(lease, clock, hand).run()
        hand.let_go()
    except Error as error:
        logger.warning("The database is away, and what is held will lapse: %s", str(error).strip())
        connection.close()


def _held(claims: Sequence[Claim]) -> list[Lease]:
    """The claimed rows that are still ours, the first submitted first."""
    fences = dict(claims)
    return [Lease(row) for row in _HELD.all(list(fences)) if row.fence == fences[row.pk]]


@contextmanager
def _unless_superseded() -> Iterator[None]:
    try:
        yield
    except Superseded:
        logger.info("A command was taken over meanwhile; what was done here does not count")


class Run(Engine):
    """One pass over one command."""

    def __init__(self, lease: Lease, clock: Now, hand: Hand) -> None:
        self.lease, self.clock = lease, clock
        self.row = lease.row
        self._hand = hand
        self.command: Command[Any, Any]

    def run(self) -> None:
        """Do what can be done now, step after step. Nothing that the command does wrong gets out of here."""
        with about({"command_id": self.row.pk, "job_id": self.row.job_id}), _unless_superseded():
            try:
                self.command = rebuild(self.row)
                self.command.engine = self
                while self._act():
                    pass
            except (Superseded, InterfaceError, OperationalError):
                raise
            except Unbuildable as error:
                self._quarantine(str(error))
            except BaseException as error:
                logger.exception("Command id=%s cannot go on", self.row.pk)
                self._quarantine(f"It cannot go on: {_named(error)}")

    # What a command may ask of its engine

    def checkpoint(self, data: Any) -> None:
        self._commit("checkpoint", lambda work: self.lease.write(checkpoint=data))

    def progress(self, **fields: Any) -> None:
        changed = {f"progress_{name}": value for name, value in fields.items() if value is not None}

        def write(work: OwnWork | None) -> None:
            self.lease.renew(self.clock())
            if work is not None and self.row.step_id is not None:
                work.progress(self.row.step_id, **changed)

        self._commit("progress", write)

    def children(self) -> Sequence[Child]:
        return children_of(self.row.command_id) if self.row.children else []

    def adopt(self) -> bool:
        self.lease.write(children=self.row.children + 1)
        return True

    # One step

    def _act(self) -> bool:
        """Do the next thing; whether there may be more to do at once."""
        live = self.row.status in SETTLED and self._has_live_children()
        may_resume = self.command.resumable and self.row.attempts < self.command.most_attempts
        act = decide(self.row, live, self.clock(), resumable=may_resume)
        return self._effects[act](self)

    def _execute(self) -> bool:
        now, row = self.clock(), self.row
        with committing("begin", alone=True):
            self.lease.write(
                status=S.ACTIVE,
                attempts=row.attempts + 1,
                started_at=row.started_at or now,
                expires_at=row.expires_at or now + self.command.lifetime,
            )
        self.command.status = S.ACTIVE
        logger.info("Command id=%s type=%s status=%s", row.pk, row.command_type, row.status)
        result: BaseModel | WaitFor | None = None

        def call() -> Answer | None:
            nonlocal result
            self.command.validate()
            result = self.command.execute()
            self.command.executed = True
            if not isinstance(result, WaitFor):
                self.command.result = result
            self._callback.executed(self.command, self.command.result)
            return result if isinstance(result, WaitFor) else self._after_execute()

        answer, trace = self._guarded(call)
        return self._answered(answer, trace, executed=self.command.executed)

    def _after_execute(self) -> Answer | None:
        """What the end of `execute` says: that is all, unless somebody is going to poll."""
        callback = self._callback
        if not self.command.planned and isinstance(callback, ChildrenCallback):
            return callback.do_polling(self.command, [])
        if self.command.planned or type(callback).do_polling is not Callback.do_polling:
            return RUNNING
        return Succeeded(self.command.result)

    def _cut_off(self) -> bool:
        times = f", after {self.row.attempts} attempts" if self.command.resumable else ""
        return self._settled(S.FAILED_RESTARTED, f"A restart cut it off while it executed{times}.")

    def _expire(self) -> bool:
        return self._settled(S.FAILED, f"It was active for longer than {self.command.lifetime}.")

    def _poll(self) -> bool:
        callback = self._callback
        if type(callback).do_polling is ChildrenCallback.do_polling and self._has_live_children():
            return self._answered(RUNNING, "")  # it would say so, after it has rebuilt all children
        answer, trace = self._guarded(lambda: callback.do_polling(self.command, self._child_ids()))
        return self._answered(answer, trace, polls=self.row.polls + 1)

    def _hear(self) -> bool:
        event: Any = self.row.event
        answer, trace = self._guarded(
            lambda: self._callback.on_event(self.command, self._child_ids(), event["data"])
        )
        return self._answered(answer, trace, event=None, waits_for="")

    def _end(self) -> bool:
        succeeded, callback = self.row.status == S.SUCCEEDED, self._callback
        method = callback.on_succeeded if succeeded else callback.on_failed

        def call() -> Answer:
            method(self.command, self._child_ids())
            return RUNNING

        answer, trace = self._guarded(call)
        if isinstance(answer, Failed):
            return self._end_failed(answer.reason, trace, again=S.FAILED if succeeded else None)
        self._ended(S.ENDED_SUCCESSFULLY if succeeded else S.ENDED_WITH_FAILURE)
        return False

    def _wait(self) -> bool:
        """Its children are not over; the last one's end wakes it."""
        with committing("wait", alone=True):
            self.lease.release(self._in(self.command.longest_poll))
        return False

    def _nothing(self) -> bool:
        with committing("nothing", alone=True):
            self.lease.release(None)
        return False

    _effects = {
        Act.EXECUTE: _execute,
        Act.CUT_OFF: _cut_off,
        Act.EXPIRE: _expire,
        Act.HEAR: _hear,
        Act.POLL: _poll,
        Act.END: _end,
        Act.WAIT: _wait,
        Act.NOTHING: _nothing,
    }

    # What follows from an answer

    def _answered(self, answer: Answer | None, trace: str, **fields: Any) -> bool:
        if isinstance(answer, Succeeded) and self.command.planned:
            answer = Failed("It added child commands, and then did not wait for them.")
        if isinstance(answer, Succeeded):
            return self._settled(S.SUCCEEDED, "", **fields)
        if isinstance(answer, Failed):
            return self._settled(S.FAILED, answer.reason, trace=trace, **fields)
        if isinstance(answer, WaitFor):
            has_come = fields.get("event", self.row.event) is not None
            due = self.clock() + (timedelta(0) if has_come else answer.timeout)
            fields |= {"waits_for": legible(answer.event)[:100], "poll_delay": 0}
            self._goes_on(due, **fields)
            return False
        heard, planned = "event" in fields, self.command.planned
        advanced = self.command.stage != self.row.stage
        delay = self.row.next_delay(self.command.longest_poll)
        if not ("executed" in fields or advanced or planned or heard):
            self._hand.poll_again(self.lease, delay)
            return False
        if heard:
            delay = 0 if isinstance(self._callback, ChildrenCallback) and not planned else 1
        self._goes_on(self._in(delay), poll_delay=delay, **fields)
        return False

    def _goes_on(self, due: datetime, **fields: Any) -> None:
        """Let go of a command that is not settled, with the children that it planned."""
        if self.command.result is not None:
            fields |= returned(self.command.result)
        planned, row = self.command.planned, self.row
        fields |= {"stage": self.command.stage, "children": row.children + len(planned)}

        def write(work: OwnWork | None) -> None:
            if planned:
                store_children(row, planned, work, self.clock())
                nudge.send()
            self.lease.release(min(due, row.expires_at or due), **fields)

        self._commit("execute" if "executed" in fields else "poll", write, alone=not planned)

    def _settled(
        self,
        status: CommandStatus,
        error: str,
        *,
        trace: str = "",
        **fields: Any,
    ) -> bool:
        """The work is over. If nothing is left to do the command has ended with that."""
        if status == S.SUCCEEDED and self.command.result is not None:
            fields |= returned(self.command.result)
        self.command.status = status
        if self.command.handler is Callback and not self._has_live_children():
            ended = S.ENDED_SUCCESSFULLY if status == S.SUCCEEDED else S.ENDED_WITH_FAILURE
            self._ended(ended, error=error, trace=trace, settled=True, **fields)
            return False
        fields |= {"status": status, "error": error, "trace": trace, "event": None, "waits_for": ""}

        def write(work: OwnWork | None) -> None:
            self.lease.write(**fields)
            monitoring.settle(self.row, work)

        self._commit("settle", write)
        logger.info("Command id=%s status=%s %s", self.row.pk, status, error)
        return True

    def _end_failed(self, reason: str, trace: str, *, again: CommandStatus | None) -> bool:
        """An end method failed: it is tried again, or else a command that had SUCCEEDED is now FAILED."""
        tries = self.row.end_attempts + 1
        logger.warning("Command id=%s end method failed, try %d: %s", self.row.pk, tries, reason)
        if tries < self.command.end_attempts:
            with committing("end-again", alone=True):
                self.lease.release(
                    self._in(min(2**tries, self.command.longest_poll)), end_attempts=tries, trace=trace
                )
            return False
        if again is None:
            self._ended(
                S.ENDED_WITH_FAILURE,
                error=f"{self.row.error} Then its end method failed: {reason}",
                trace=trace,
            )
            return False
        with committing("end-failed", alone=True):
            self.lease.write(
                status=again, end_attempts=0, error=f"Its end method failed: {reason}", trace=trace
            )
        self.command.status = again
        return True

    def _ended(self, status: CommandStatus, *, settled: bool = False, **fields: Any) -> None:
        now, row = self.clock(), self.row

        def write(work: OwnWork | None) -> None:
            self.lease.release(None, status=status, callback_notified=True, ended_at=now, **fields)
            if settled:
                monitoring.settle(row, work)
            monitoring.end(row, work)
            _wake_parent(row, now)

        self._commit("end", write, alone=row.parent_command_id is None)
        logger.info("Command id=%s status=%s %s", row.pk, status, row.error)

    def _quarantine(self, reason: str) -> None:
        """Nothing can be done with it until somebody has mended what is wrong; an admin may resume it then."""
        now, row = self.clock(), self.row
        with committing("quarantine"):
            self.lease.release(None, status=S.UNKNOWN, error=legible(reason[:10_000]))
            _wake_parent(row, now)
        logger.error("Command id=%s is UNKNOWN: %s", row.pk, reason)

    # Tools

    @property
    def _callback(self) -> Callback:
        kind = self.command.handler
        has_children = self.row.children or self.command.planned
        return ChildrenCallback() if kind is Callback and has_children else kind()

    def _guarded(self, call: Callable[[], Answer | None]) -> tuple[Answer | None, str]:
        """What the command's own code answers. Whatever it raises is Failed, and its trace.

        Only if the database has gone away from under it nothing is said of the command.
        """
        try:
            with _no_transaction_left(), time_limit(self.command.time_limit):
                return self._checked(call()), ""
        except Superseded:
            raise
        except TaskMonitorError as error:
            return Failed(str(error)), ""
        except BaseException as error:  # SystemExit, too, fails the command alone
            if isinstance(error, InterfaceError | OperationalError) and not _database_answers():
                raise
            self.command.planned.clear()
            return Failed(_named(error)[:10_000]), legible(traceback.format_exc()[-50_000:])

    def _checked(self, answer: object) -> Answer | None:
        """The answer, if it is one, and if what comes with it can be stored and rebuilt; else TypeError or Invalid."""
        command = self.command
        if answer is not None and not isinstance(answer, Answer):
            raise TypeError(f"{answer!r} is no answer to a poll.")
        if isinstance(answer, Succeeded) and answer.result is not None:
            command.result = answer.result
        if command.result is not None:
            command.result = parsed("result", command.result_class, command.result)
        command.planned = [
            (kind, parsed(kind.__name__, kind.parameters_class, parameters))
            for kind, parameters in command.planned
        ]
        return answer

    def _commit(self, name: str, write: Callable[[OwnWork | None], None], *, alone: bool = True) -> None:
        """Commit what a call of the command led to; anew if the database goes away, for as long as a lease lasts.

        `alone`: beside what its job gets, it is one statement.
        If only the answer to a commit was lost, the next try finds the row changed, and is Superseded.
        """
        deadline = monotonic() + settings.COMMAND_LEASE.total_seconds()
        before = vars(self.row).copy()
        while True:
            try:
                with committing(name, job_id=self.row.job_id, now=self.clock(), alone=alone) as work:
                    write(work)
                return
            except (InterfaceError, OperationalError) as error:
                vars(self.row).update(before)
                if monotonic() > deadline:
                    raise
                logger.warning("Command id=%s is not written yet: %s", self.row.pk, str(error).strip())
                connection.close()
                sleep(AFTER_ERROR)

    def _has_live_children(self) -> bool:
        """Whether a child command of its is not over."""
        return bool(self.row.children and _LIVE_CHILD.rows(self.row.pk))

    def _child_ids(self) -> list[UUID]:
        return get_child_command_ids(self.row.pk) if self.row.children else []

    def _in(self, seconds: float) -> datetime:
        return self.clock() + timedelta(seconds=seconds)


@contextmanager
def _no_transaction_left() -> Iterator[None]:
    """Undo what is begun within and not ended; else nothing that follows on this connection would ever be committed."""
    database = connections[DEFAULT_DB_ALIAS]  # `connection` would look it up at each use
    outer = len(database.atomic_blocks)
    try:
        yield
    finally:
        while len(database.atomic_blocks) > outer:
            database.atomic_blocks[-1].__exit__(Superseded, Superseded(), None)
        if not outer and database.connection is not None and not database.autocommit:
            database.in_atomic_block = False  # it was cut off while it began
            database.close()


def _database_answers() -> bool:
    return connection.connection is not None and connection.is_usable()


def _named(error: BaseException) -> str:
    """The error's class and what it says, if it can."""
    try:
        says = f": {error}" if str(error) else ""
    except BaseException:  # noqa: BLE001 - it is a command's own
        says = ""
    return f"{type(error).__name__}{says}"


def _wake_parent(row: CommandEntity, now: datetime) -> None:
    """Have the parent looked at within one pass."""
    if row.parent_command_id is None:
        return
    wake(row.parent_command_id, now)
    nudge.send()
