"""What would have to wait, and need not: what dead workers held, and what is due by a clock that was set back."""

import logging
from datetime import datetime, timedelta

from django.db.models import F, Q

from coordinator.commits import committing
from coordinator.models import CommandEntity
from coordinator.whoami import runs

logger = logging.getLogger(__name__)

SLACK = timedelta(seconds=10)  # a command whose look is so far off is waited for


def release_what_the_dead_held(now: datetime) -> int:
    """Make due what is held by workers of this machine that no longer run; how many commands.

    Of a dead worker's last process something may still be on its way to the database: a new fencing
    number keeps it out.
    """
    held = CommandEntity.objects.filter(lease_until__isnull=False)
    dead = [name for name in held.order_by().values_list("worker", flat=True).distinct() if not runs(name)]
    if not dead:
        return 0
    with committing("recover"):
        count = held.filter(worker__in=dead).update(
            lease_until=None, due_at=now, worker="", woken=False, fence=F("fence") + 1
        )
    logger.warning("%d commands of %d dead workers are due again", count, len(dead))
    return count


def release_what_waits_for_the_clock(now: datetime) -> int:
    """Make due what waits for longer than it was put off, for the clock was set back since; how many commands.

    A look too early does no harm. Time-outs of events and lifetimes stay where they are on the clock.
    """
    not_put_off = Q(waits_for="") | Q(event__isnull=False)
    waiting = CommandEntity.objects.filter(not_put_off, due_at__gt=now + SLACK, lease_until=None)
    delays = waiting.order_by().values_list("poll_delay", flat=True).distinct()
    with committing("clock"):
        count = sum(
            waiting.filter(poll_delay=delay, due_at__gt=now + SLACK + timedelta(seconds=delay)).update(
                due_at=now
            )
            for delay in list(delays)
        )
    if count:
        logger.warning("The clock was set back: %d commands are due again", count)
    return count
