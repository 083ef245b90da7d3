"""What to do next with a command: a pure decision on its row."""

from datetime import datetime
from enum import Enum

from coordinator.models import SETTLED, CommandEntity, CommandStatus


class Act(Enum):
    EXECUTE = "execute it, or go on with it"
    CUT_OFF = "take note that its execute was cut off"
    EXPIRE = "let it fail, for it was active for too long"
    HEAR = "tell it of its event"
    POLL = "poll it"
    END = "run its end method"
    WAIT = "wait for its children"
    NOTHING = "leave it alone"


def decide(row: CommandEntity, live_children: bool, now: datetime, *, resumable: bool) -> Act:
    """The one thing to do now with a command that is due. `resumable`: it may be executed once more."""
    if row.status == CommandStatus.NOT_STARTED:
        return Act.EXECUTE
    if row.status == CommandStatus.ACTIVE:
        return _decide_active(row, now, resumable)
    if row.status in SETTLED:
        return Act.WAIT if live_children else Act.END
    return Act.NOTHING


def _decide_active(row: CommandEntity, now: datetime, resumable: bool) -> Act:
    if not row.executed:
        return Act.EXECUTE if resumable else Act.CUT_OFF
    if row.expires_at is not None and row.expires_at <= now:
        return Act.EXPIRE
    return Act.POLL if row.event is None else Act.HEAR
