"""What a worker that died held is given to others at once, and not only when its lease lapses."""

import logging
from datetime import datetime

from django.db.models import F

from coordinator.commits import committing
from coordinator.models import CommandEntity
from coordinator.whoami import runs

logger = logging.getLogger(__name__)


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
            lease_until=None, due_at=now, worker="", fence=F("fence") + 1
        )
    logger.warning("%d commands of %d dead workers are due again", count, len(dead))
    return count
