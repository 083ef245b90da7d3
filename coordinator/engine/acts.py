"""What a worker can do with a command. Each act looks at the facts and says what that led to; none writes."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from coordinator.callbacks import Callback, ChildrenCallback
from coordinator.command import RUNNING, Answer, Failed, Succeeded, WaitFor
from coordinator.engine.decide import TIMED_OUT, Next
from coordinator.engine.outcome import HOLD, Act, Columns, Facts, Outcome, PolledAgain
from coordinator.engine.sandbox import DatabaseTrouble, Said, Sandbox
from coordinator.models import CommandEntity, CommandStatus, Lane
from coordinator.repository import child_ids, returned
from taskmonitor.services.text import legible

logger = logging.getLogger(__name__)

S = CommandStatus
AFTER_TROUBLE = timedelta(seconds=2)  # until a call is repeated in which the database could not work


class Acts:
    """The acts, with the sandbox in which those that call the author's code do so."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.of: dict[Next, Act] = {
            Next.BEGIN: self.begin,
            Next.CUT_OFF: cut_off,
            Next.GIVE_UP: give_up,
            Next.EXPIRE: expire,
            Next.HEAR: self.hear,
            Next.POLL: self.poll,
            Next.END: self.end,
            Next.GIVE_UP_END: give_up_end,
            Next.FINISH: finish,
            Next.WAIT: wait,
            Next.NOTHING: nothing,
        }

    def begin(self, f: Facts) -> Outcome:
        row = f.row
        columns = Columns(
            attempts=row.attempts + 1,
            started_at=row.started_at or f.now,
            expires_at=row.expires_at or f.now + f.command.lifetime,
        )
        return Outcome("begin", HOLD, S.ACTIVE, columns, then=self.execute)

    def execute(self, f: Facts) -> Outcome | PolledAgain:
        command = f.command

        def call() -> Answer | None:
            if f.row.attempts == 1:
                command.validate()
            result = command.execute()
            command.executed = True
            if isinstance(result, BaseModel) or result is None:
                command.result = result
            elif isinstance(result, Succeeded):
                command.result = result.result
            elif not isinstance(result, WaitFor | Failed):
                raise TypeError(f"{result!r} is no result.")
            callback = _callback(f)
            callback.executed(command, command.result)
            return result if isinstance(result, Answer) else _after_execute(f, callback)

        try:
            said = self._sandbox.said(f.row, command, call)
        except DatabaseTrouble as trouble:
            if command.resumable:
                return Outcome("let-go", f.now + AFTER_TROUBLE, columns=Columns(attempts=f.row.attempts - 1))
            said = Said(Failed(f"The database could not do its work while it executed: {trouble}"))
        return _follows(f, said, Columns(executed=command.executed))

    def poll(self, f: Facts) -> Outcome | PolledAgain:
        callback = _callback(f)
        if type(callback).do_polling is ChildrenCallback.do_polling and f.live_children:
            return _follows(
                f, Said(RUNNING), Columns()
            )  # it would say so, after it has looked at all children
        return self._asked(
            f, lambda: callback.do_polling(f.command, child_ids(f.row)), Columns(polls=f.row.polls + 1)
        )

    def hear(self, f: Facts) -> Outcome | PolledAgain:
        event: Any = f.row.event
        return self._asked(
            f,
            lambda: _callback(f).on_event(f.command, child_ids(f.row), event["data"]),
            Columns(event=None, waits_for=""),
        )

    def _asked(
        self, f: Facts, method: Callable[[], Answer | None], columns: Columns
    ) -> Outcome | PolledAgain:
        try:
            said = self._sandbox.said(f.row, f.command, method)
        except DatabaseTrouble as trouble:
            return _let_go(f, trouble)
        return _follows(f, said, columns)

    def end(self, f: Facts) -> Outcome:
        succeeded, callback = f.row.status == S.SUCCEEDED, _callback(f)
        method = callback.on_succeeded if succeeded else callback.on_failed

        def call() -> Answer:
            method(f.command, child_ids(f.row))
            return RUNNING

        try:
            said = self._sandbox.said(f.row, f.command, call)
        except DatabaseTrouble as trouble:
            return _let_go(f, trouble)
        if isinstance(said.answer, Failed):
            return _end_failed(f, said.answer.reason, said.trace)
        if f.command.planned:
            return Outcome(
                "end-children",
                f.now + _longest(f),
                columns=Columns(callback_notified=True, lane=Lane.POLL),
                children=tuple(f.command.planned),
            )
        return finish(f)


def cut_off(f: Facts) -> Outcome:
    if f.row.deaths:
        return settled(f, S.FAILED_RESTARTED, f"Its process ended with {f.row.death} while it executed.")
    times = f", after {f.row.attempts} attempts" if f.command.resumable else ""
    return settled(f, S.FAILED_RESTARTED, f"A restart cut it off while it executed{times}.")


def give_up(f: Facts) -> Outcome:
    return settled(f, S.FAILED, _killed(f.row))


def give_up_end(f: Facts) -> Outcome:
    return _end_failed(f, _killed(f.row), "")


def expire(f: Facts) -> Outcome:
    return settled(f, S.FAILED, f"It was active for longer than {f.command.lifetime}.")


def wait(f: Facts) -> Outcome:
    """Wait for child commands that are not over. The end of each wakes the parent, so the time given here is a fallback."""
    return Outcome("wait", f.now + _longest(f), columns=Columns(lane=Lane.POLL))


def nothing(f: Facts) -> Outcome:
    return Outcome("nothing", None)


def finish(f: Facts) -> Outcome:
    """The end method ran."""
    good = f.row.status == S.SUCCEEDED
    return _ended(f, S.ENDED_SUCCESSFULLY if good else S.ENDED_WITH_FAILURE, Columns())


def held(row: CommandEntity, reason: str) -> Outcome:
    """Nothing can be done with it until somebody has mended what is wrong; an operator may resume it then."""
    logger.error("Command id=%s is HELD: %s", row.pk, reason)
    columns = Columns(held_from=str(row.status), error=legible(reason[:10_000]), lane=Lane.POLL)
    return Outcome("hold", None, S.HELD, columns)


def settled(f: Facts, status: CommandStatus, error: str = "", columns: Columns | None = None) -> Outcome:
    """The work is over. If nothing is left to do the command has ended with that."""
    columns = columns or Columns()
    columns |= Columns(error=error, lane=Lane.POLL)
    children = tuple(f.command.planned)
    if f.command.handler is Callback and not children and not f.live_children:
        good = status == S.SUCCEEDED
        return _ended(f, S.ENDED_SUCCESSFULLY if good else S.ENDED_WITH_FAILURE, columns)
    columns |= Columns(event=None, waits_for="")
    return Outcome("settle", HOLD, status, columns, children)


def _follows(f: Facts, said: Said, columns: Columns) -> Outcome | PolledAgain:
    """What comes of an answer."""
    command, row, answer = f.command, f.row, said.answer
    if isinstance(answer, Succeeded) and command.planned:
        answer = Failed("It added child commands, and then did not wait for them.")
        command.planned = []
    columns |= Columns(trace=said.trace)
    if isinstance(answer, Succeeded):
        return settled(f, S.SUCCEEDED, columns=columns | _result(f))
    if isinstance(answer, Failed):
        return settled(f, S.FAILED, answer.reason, columns)
    heard, planned, advanced = "event" in columns, command.planned, command.stage != row.stage
    executed = "executed" in columns
    if isinstance(answer, WaitFor):
        has_come = row.event is not None and not heard
        due = f.now + (timedelta(0) if has_come else answer.timeout)
        columns |= Columns(waits_for=legible(answer.event)[:100], poll_delay=0)
        return _goes_on("execute" if executed else "poll", f, due, columns)
    delay = row.next_delay(command.longest_poll)
    if not (executed or advanced or planned or heard):
        return PolledAgain(delay)
    if heard:
        delay = 0 if isinstance(_callback(f), ChildrenCallback) and not planned else 1
    columns |= Columns(poll_delay=delay)
    return _goes_on("execute" if executed else "poll", f, f.now + timedelta(seconds=delay), columns)


def _goes_on(name: str, f: Facts, due: datetime, columns: Columns) -> Outcome:
    """Let go of a command that is not settled, with the children that it planned."""
    columns |= _result(f) | Columns(stage=f.command.stage, lane=Lane.POLL)
    return Outcome(name, min(due, f.row.expires_at or due), None, columns, tuple(f.command.planned))


def _end_failed(f: Facts, reason: str, trace: str) -> Outcome:
    """An end method failed: it is tried again, or else a command that had SUCCEEDED is now FAILED."""
    row, tries = f.row, f.row.end_attempts + 1
    logger.warning("Command id=%s end method failed, try %d: %s", row.pk, tries, reason)
    if tries < f.command.end_attempts:
        due = f.now + timedelta(seconds=min(2**tries, f.command.longest_poll))
        return Outcome("end-again", due, columns=Columns(end_attempts=tries, trace=trace, lane=Lane.POLL))
    if row.status == S.SUCCEEDED:
        columns = Columns(end_attempts=0, error=f"Its end method failed: {reason}", trace=trace)
        return Outcome("end-failed", HOLD, S.FAILED, columns)
    columns = Columns(error=f"{row.error} Then its end method failed: {reason}", trace=trace)
    return _ended(f, S.ENDED_WITH_FAILURE, columns)


def _ended(f: Facts, status: CommandStatus, columns: Columns) -> Outcome:
    columns |= Columns(callback_notified=True, ended_at=f.now, waits_for="", event=None)
    return Outcome("end", None, status, columns)


def _let_go(f: Facts, trouble: DatabaseTrouble) -> Outcome:
    logger.warning("Command id=%s is asked again, for the database could not work: %s", f.row.pk, trouble)
    return Outcome("let-go", f.now + AFTER_TROUBLE)


def _after_execute(f: Facts, callback: Callback) -> Answer | None:
    """What the end of `execute` says: that is all, unless somebody is going to poll."""
    if not f.command.planned and isinstance(callback, ChildrenCallback):
        return callback.do_polling(f.command, [])
    if f.command.planned or type(callback).do_polling is not Callback.do_polling:
        return RUNNING
    return Succeeded(f.command.result)


def _callback(f: Facts) -> Callback:
    kind = f.command.handler
    has_children = f.row.children or f.command.planned
    return ChildrenCallback() if kind is Callback and has_children else kind()


def _result(f: Facts) -> Columns:
    if f.command.result is None:
        return Columns()
    value = returned(f.command.result)
    return Columns(return_value=value["return_value"], return_value_class=value["return_value_class"])


def _killed(row: CommandEntity) -> str:
    if row.death == TIMED_OUT:
        return "It took longer than its time_limit, paid no heed to that, and was killed."
    return f"{row.deaths} processes ended at it, the last one with {row.death}."


def _longest(f: Facts) -> timedelta:
    return timedelta(seconds=f.command.longest_poll)
