"""What time does to ended commands: after a while they are removed, hierarchies whole; live ones never."""

import logging
from datetime import datetime
from uuid import UUID

from django.conf import settings

from coordinator.repository import commands_before_date, remove_all_commands_before_date

logger = logging.getLogger(__name__)


def tick(now: datetime, *, dry_run: bool = False) -> list[UUID]:
    """Remove what ended long ago; the topmost commands. Of a dry run, those that it would begin with."""
    cutoff = now - settings.KEEP_ENDED_COMMANDS_FOR
    if dry_run:
        return commands_before_date(cutoff)
    removed = remove_all_commands_before_date(cutoff)
    if removed:
        logger.info("Cleanup removed=%d", len(removed))
    return removed
