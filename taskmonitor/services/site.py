"""What holds for the site as a whole: which version prepared its database, and whether its workers may work.

A restored database has the commands that were active when the backup was taken, and the site that it was taken
from may have gone on with them. So its workers do nothing until an operator releases it: no command is carried
on, no job called UNKNOWN, nothing cleared or deleted.
"""

from datetime import datetime

from taskmonitor.models import Actor, SiteState
from taskmonitor.services.access import audit
from taskmonitor.services.transaction import writing
from taskmonitor.version import VERSION

HELD = (
    "This database was restored or copied, and is not released: nothing in it is carried on until an operator"
    " says `manage.py resume --all`."
)


def is_released() -> bool:
    """Whether workers may work on what is in the database."""
    return SiteState.objects.filter(released_at__isnull=False).exists()


def release(*, actor: Actor, now: datetime) -> bool:
    """Let the workers work; whether they did not until now."""
    with writing():
        if is_released():
            return False
        SiteState.objects.update_or_create(pk=SiteState.ONLY, defaults={"released_at": now})
        audit(verb="released", subject="restored database", detail="", actor=actor, now=now)
    return True


def hold(*, actor: Actor, now: datetime) -> bool:
    """Have the workers of a stopped site wait for a release when it starts; whether they need not until now."""
    with writing():
        held = SiteState.objects.filter(released_at__isnull=False).update(released_at=None)
        if held:
            audit(verb="held", subject="database", detail="", actor=actor, now=now)
    return bool(held)


def note_version() -> None:
    """Have the database remember that this version prepared it."""
    with writing():
        if not SiteState.objects.filter(pk=SiteState.ONLY, version=VERSION).exists():
            SiteState.objects.update_or_create(pk=SiteState.ONLY, defaults={"version": VERSION})
