"""What time does to ended commands: after a while they are removed, hierarchies whole; live ones never."""

import logging
from datetime import datetime
from uuid import UUID

from django.conf import settings

from coordinator.repository import commands_before_date, remove_all_commands_before_date
from taskmonitor.services.portions import Portions

logger = logging.getLogger(__name__)


def planned(now: datetime) -> list[UUID]:
    """The topmost commands that a tick would begin with."""
    return commands_before_date(now - settings.KEEP_ENDED_COMMANDS_FOR)


def tick(now: datetime, portions: Portions) -> list[UUID]:
    """Remove what ended long ago; the topmost commands."""
    removed = remove_all_commands_before_date(now - settings.KEEP_ENDED_COMMANDS_FOR, portions)
    if removed:
        logger.info("Cleanup removed=%d", len(removed))
    return removed
