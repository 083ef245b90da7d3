"""What the workers do of themselves, as django-q2 schedules and tasks, and nothing else that these may name."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.utils import timezone

from taskmonitor import upkeep
from taskmonitor.services.portions import Portions

UPKEEP = "coordinator.schedules.run_upkeep"
UPKEEP_PERIOD = timedelta(minutes=1)
REGISTER = frozenset({UPKEEP})  # all functions that a schedule or a stored task may name


def make_schedules(*, app_config: Any, **_: Any) -> None:
    """Make the schedules that are not there yet; one that was changed stays as it is."""
    if app_config.name != "django_q":
        return
    apps.get_model("django_q", "Schedule").objects.get_or_create(
        name="upkeep",
        defaults={
            "func": UPKEEP,
            "schedule_type": "I",
            "minutes": UPKEEP_PERIOD // timedelta(minutes=1),
        },
    )


def is_registered(task: Mapping[str, Any]) -> bool:
    """Whether that task of django-q2's runs a function of the register, and none after it.

    A function may come pickled, too; a hook and a chain are further functions.
    """
    function = task["func"]
    return isinstance(function, str) and function in REGISTER and not (task.get("hook") or task.get("chain"))


def run_upkeep() -> str:
    """One pass of upkeep by the clock; what it did, for django-q2's list of results."""
    from django_q.tasks import async_task  # a web server, that has schedules too, needs neither

    from coordinator import cleanup, signs

    now, portions = timezone.now(), Portions(upkeep.SPELL)
    report, removed = upkeep.tick(now, portions), cleanup.tick(now, portions)
    signs.show(signs.UPKEEP)
    if portions.over:
        async_task(UPKEEP, group="upkeep")
    jobs = f"{len(report.lost)} lost, {len(report.cleared)} cleared, {len(report.deleted)} deleted"
    return f"{jobs}; {len(removed)} commands removed"
