"""Signs of life that clusters and upkeep leave in the database, so that whoever watches the site can see them.

They are written and judged by the database's clock: those of several hosts need not agree.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from django.db import Error, connection
from django.db.models import F
from django.db.models.functions import Now

from coordinator.models import CommandEntity, LifeSign
from coordinator.schedules import UPKEEP_PERIOD
from taskmonitor.services.site import is_released
from taskmonitor.services.transaction import writing

logger = logging.getLogger(__name__)

PERIOD = timedelta(seconds=10)  # between two signs of a cluster
UPKEEP = "upkeep"  # the sign that a pass of it leaves at its end
LONGEST_CALL = timedelta(minutes=5)  # Command.time_limit; to import that takes 7 MB
FORGOTTEN = timedelta(days=1)  # after which the sign of a cluster that died is removed


def show(name: str) -> None:
    """Leave a sign now."""
    with writing():
        if LifeSign.objects.filter(pk=name).update(at=Now()):
            return
        LifeSign.objects.create(name=name, since=Now(), at=Now())
        LifeSign.objects.exclude(name=UPKEEP).filter(at__lt=Now() - FORGOTTEN).delete()


def withdraw(name: str) -> None:
    """Take the sign back: its process ends well."""
    try:
        with writing():
            LifeSign.objects.filter(pk=name).delete()
    except Error as error:  # it grows old by itself
        logger.warning("The sign of life of %s cannot be taken back: %s", name, str(error).strip())


def pulse(name: str) -> Callable[[], None]:
    """A function to be called often, which leaves a sign each PERIOD; a database that is away stops nobody."""
    due = monotonic()

    def beat() -> None:
        nonlocal due
        if monotonic() < due:
            return
        due = monotonic() + PERIOD.total_seconds()
        try:
            show(name)
        except Error as error:
            logger.warning("No sign of life can be left: %s", str(error).strip())
            connection.close()

    return beat


@dataclass(frozen=True, slots=True)
class Signs:
    """How old the signs of life are."""

    cluster: timedelta | None  # the youngest of those of all clusters; None if there is none
    clusters: int  # how many live
    running: timedelta  # how long the one that lives for longest has done so
    upkeep: timedelta | None  # None if no pass has ended yet
    busy: bool  # whether a worker is at a command


def read() -> Signs:
    """The signs of life as they are now. One from the future is no sign: the clock was set back since."""
    rows = LifeSign.objects.annotate(age=Now() - F("at"), lasting=Now() - F("since"))
    ages = {name: (abs(age), lasting) for name, age, lasting in rows.values_list("name", "age", "lasting")}
    upkeep, _ = ages.pop(UPKEEP, (None, None))
    living = [lasting for age, lasting in ages.values() if age <= 2 * PERIOD]
    return Signs(
        cluster=min((age for age, _ in ages.values()), default=None),
        clusters=len(living),
        running=max(living, default=timedelta(0)),
        upkeep=upkeep,
        busy=CommandEntity.objects.filter(lease_until__gt=Now()).exists(),
    )


def problems() -> list[str]:
    """Why work is not done as it should be, in words for strangers; empty if it is."""
    signs = read()
    return [why for why in (_of_clusters(signs), _of_upkeep(signs)) if why]


def _of_clusters(signs: Signs) -> str:
    if signs.clusters:
        return ""
    if not is_released():
        return "The database was restored, and its workers wait for an operator to release it."
    if signs.cluster is None:
        return "No workers run."
    return f"The workers gave their last sign of life {_seconds(signs.cluster)} ago."


def _of_upkeep(signs: Signs) -> str:
    """Upkeep may be late by one period, and by as long as a call of a command may hold up a worker."""
    allowed = 2 * UPKEEP_PERIOD + (LONGEST_CALL if signs.busy else timedelta(0))
    if not signs.clusters or signs.running <= allowed:
        return ""  # it is their work, and they have only begun
    if signs.upkeep is None:
        return f"Upkeep has not run since the workers started {_seconds(signs.running)} ago."
    return f"Upkeep last ended {_seconds(signs.upkeep)} ago." if signs.upkeep > allowed else ""


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
