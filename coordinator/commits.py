"""Every change that the coordinator commits goes through here, so that a test can kill it at each."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from taskmonitor.services.own_work import OwnWork, work_on
from taskmonitor.services.transaction import writing


@contextmanager
def committing(
    name: str, *, job_id: UUID | None = None, now: datetime | None = None, alone: bool = False
) -> Iterator[OwnWork | None]:
    """A transaction; with `job_id` and `now` that job is locked first, and what was done to it written last.

    `alone`: without a job it has one statement.
    """
    reach(f"before-{name}")
    with writing(alone=alone and job_id is None):
        if job_id is None or now is None:
            yield None
        else:
            with work_on(job_id, now=now) as work:
                yield work
    reach(f"after-{name}")


_failpoint, _count, _mark = (os.environ.get("TASKMONITOR_FAILPOINT", "") + "::").split(":")[:3]
_left = int(_count or 1)


def _die(name: str) -> None:
    """Die here if TASKMONITOR_FAILPOINT says so: `before-execute:3` is the third time.

    `before-execute:3:/tmp/died` is it, too, but only for the first process that comes to it, which makes that file.
    """
    global _left
    if name == _failpoint:
        _left -= 1
        if not _left and _is_first():
            os._exit(137)


def _is_first() -> bool:
    try:
        if _mark:
            os.close(os.open(_mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


reach: Callable[[str], None] = _die  # coordinator.testing puts its own in its place
