"""What to do next with a command: a pure decision on its row."""

from datetime import datetime
from enum import Enum

from coordinator.models import SETTLED, CommandEntity, CommandStatus

MOST_DEATHS = 3  # of processes at one act; `execute` of a command that is not resumable kills one only
TIMED_OUT = "its time_limit"  # how a process ended that paid no heed to the interruption


class Next(Enum):
    BEGIN = "execute it, or go on with it"
    CUT_OFF = "take note that its execute was cut off"
    GIVE_UP = "let it fail, for processes ended at it"
    EXPIRE = "let it fail, for it was active for too long"
    HEAR = "tell it of its event"
    POLL = "poll it"
    END = "run its end method"
    GIVE_UP_END = "do without its end method, for processes ended at it"
    FINISH = "note that it has ended, for its end method ran"
    WAIT = "wait for its children"
    NOTHING = "leave it alone"


def decide(row: CommandEntity, live_children: bool, now: datetime, *, resumable: bool) -> Next:
    """The one thing to do now with a command that is due. `resumable`: it may be executed once more."""
    kills = (row.death == TIMED_OUT and row.deaths > 0) or row.deaths >= MOST_DEATHS
    if row.status == CommandStatus.NOT_STARTED:
        return Next.GIVE_UP if kills else Next.BEGIN
    if row.status == CommandStatus.ACTIVE:
        return Next.GIVE_UP if kills else _decide_active(row, now, resumable)
    if row.status not in SETTLED:
        return Next.NOTHING
    if live_children:
        return Next.WAIT
    if row.callback_notified:
        return Next.FINISH
    return Next.GIVE_UP_END if kills else Next.END


def _decide_active(row: CommandEntity, now: datetime, resumable: bool) -> Next:
    if not row.executed:
        return Next.BEGIN if resumable else Next.CUT_OFF
    if row.expires_at is not None and row.expires_at <= now:
        return Next.EXPIRE
    return Next.POLL if row.event is None else Next.HEAR
