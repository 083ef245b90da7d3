"""What the workers do of themselves, as django-q2 schedules."""

from typing import Any

from django.apps import apps
from django.utils import timezone

from taskmonitor import upkeep


def make_schedules(*, app_config: Any, **_: Any) -> None:
    """Make the schedules that are not there yet; one that an admin has changed stays as it is."""
    if app_config.name != "django_q":
        return
    apps.get_model("django_q", "Schedule").objects.get_or_create(
        name="upkeep",
        defaults={"func": "coordinator.schedules.run_upkeep", "schedule_type": "I", "minutes": 1},
    )


def run_upkeep() -> str:
    """One pass of upkeep by the clock; what it did, for django-q2's list of results."""
    from django_q.tasks import async_task  # a web server, that has schedules too, needs neither

    from coordinator import cleanup

    now = timezone.now()
    report, removed = upkeep.tick(now), cleanup.tick(now)
    if report.more:
        async_task("coordinator.schedules.run_upkeep", group="upkeep")
    jobs = f"{len(report.lost)} lost, {len(report.cleared)} cleared, {len(report.deleted)} deleted"
    return f"{jobs}; {len(removed)} commands removed"
