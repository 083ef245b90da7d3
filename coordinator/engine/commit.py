"""The one function that writes what an act led to, whole or not at all."""

import logging
from collections.abc import Callable
from datetime import datetime
from time import sleep
from uuid import UUID

from django.db import Error, connection
from django.db.models import Max

from coordinator import monitoring, nudge
from coordinator.commits import committing
from coordinator.engine.outcome import HOLD, Outcome
from coordinator.engine.queue import Lease, wake
from coordinator.models import OVER, SETTLED, CommandEntity, CommandStatus, Lane
from coordinator.submission import store_children
from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.services.own_work import OwnWork

logger = logging.getLogger(__name__)

AFTER_TROUBLE = 0.3  # seconds until what could not be written is written again

S = CommandStatus


def commit(lease: Lease, outcome: Outcome, clock: Callable[[], datetime]) -> None:
    """Write all of it, or raise Superseded; again for as long as the database cannot.

    If only the answer to a commit was lost, the next try finds the row changed, and is Superseded.
    """
    before = vars(lease.row).copy()
    while True:
        try:
            _commit(lease, outcome, clock())
            break
        except Error as error:
            if not is_database_trouble(error):
                raise
            vars(lease.row).update(before)
            logger.warning("Command id=%s is not written yet: %s", lease.row.pk, str(error).strip())
            connection.close()
            sleep(AFTER_TROUBLE)
    if outcome.status is not None:
        row = lease.row
        logger.info("Command id=%s type=%s status=%s %s", row.pk, row.command_type, row.status, row.error)


def _commit(lease: Lease, o: Outcome, now: datetime) -> None:
    row = lease.row
    over, parent = o.status in OVER, row.parent_command_id
    shown = bool(o.children or o.progress or over or o.status in SETTLED)
    fields = dict(o.columns) | ({} if o.status is None else {"status": o.status})
    if row.deaths:
        fields |= {"deaths": 0, "death": ""}
    was, alone = row.status, not (o.children or (over and parent))
    with committing(o.name, job_id=row.job_id if shown else None, now=now, alone=alone) as work:
        if over and parent:
            wake(parent, now)  # locks the parent's row, at which siblings queue
            if o.status == S.ENDED_SUCCESSFULLY:
                fields["success_number"] = _next_success(parent)
            nudge.send(Lane.POLL)
        if o.children:
            store_children(row, list(o.children), work, now)
            fields["children"] = row.children + len(o.children)
            nudge.send(Lane.EXECUTE)
        if o.due is HOLD:
            lease.write(**fields)
        else:
            lease.release(o.due, now, **fields)
        _show(row, was, o, work)


def _show(row: CommandEntity, was: str | None, o: Outcome, work: OwnWork | None) -> None:
    """Show in the monitor what the commit means there."""
    if work is not None and row.step_id is not None and o.progress:
        work.progress(row.step_id, **o.progress)
    if o.status in SETTLED or (o.status in OVER and was not in SETTLED):
        monitoring.settle(row, work)
    if o.status in OVER:
        monitoring.end(row, work)


def _next_success(parent: UUID) -> int:
    siblings = CommandEntity.objects.filter(parent_command_id=parent)
    return 1 + (siblings.aggregate(last=Max("success_number"))["last"] or 0)
