"""What the database says of all work of the site, for /metrics: every web server of the site says the same.

Labels have few values each: commands of types that are not registered here count as one.
"""

import logging
from collections.abc import Iterator
from datetime import datetime

from django.db import Error
from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from coordinator import signs
from coordinator.models import UNKNOWN, CommandEntity
from coordinator.step_durations import StepDurations
from taskmonitor import feed
from taskmonitor.lifecycle import Status
from taskmonitor.models import Job

logger = logging.getLogger(__name__)

OTHER = "_OTHER"
STATES = ("due", "active", "waiting", "unknown")


class Work(Collector):
    """Jobs, commands, workers and steps, by the database."""

    def __init__(self) -> None:
        self._steps: StepDurations | None = None

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            yield from self._found(timezone.now())
            up = 1
        except Error as error:
            logger.warning("The database cannot be asked for metrics: %s", str(error).strip())
            up = 0
        yield GaugeMetricFamily("taskmonitor_database_up", "Whether the database answered.", value=up)

    def _found(self, now: datetime) -> list[Metric]:
        self._steps = self._steps or StepDurations(feed.last())
        return [_jobs(), _commands(now), _lag(now), *_alive(), self._steps.metric()]


def _jobs() -> Metric:
    metric = GaugeMetricFamily("taskmonitor_jobs", "Jobs that are not cleared.", labels=["status"])
    rows = Job.objects.filter(cleared_at=None).order_by().values_list("status").annotate(number=Count("*"))
    counts: dict[str, int] = dict(rows)
    for status in Status:
        metric.add_metric([status], counts.get(status, 0))
    return metric


def _commands(now: datetime) -> Metric:
    """Of each type: due and held by no worker, held by one, waiting for its time or event, set aside."""
    from coordinator import registry  # what it takes is loaded for who asks, not at each start

    held = Q(lease_until__gt=now)
    live = CommandEntity.objects.filter(due_at__isnull=False).order_by().values_list("command_type")
    free = Q(due_at__lte=now) & (Q(lease_until=None) | Q(lease_until__lte=now))
    numbers = {"waits": Count("pk", filter=free), "held": Count("pk", filter=held), "every": Count("*")}
    known = {command.name for command in registry.commands()}
    counts = {name: dict.fromkeys(STATES, 0) for name in sorted({*known, OTHER})}

    def add(name: str, state: str, number: int) -> None:
        counts[name if name in known else OTHER][state] += number

    for name, waits, active, every in live.annotate(**numbers):
        add(name, "due", waits)
        add(name, "active", active)
        add(name, "waiting", every - waits - active)
    aside = CommandEntity.objects.filter(UNKNOWN).order_by().values_list("command_type")
    for name, number in aside.annotate(number=Count("*")):
        add(name, "unknown", number)
    metric = GaugeMetricFamily(
        "taskmonitor_commands", "Commands that have not ended.", labels=["command_type", "state"]
    )
    for name, states in counts.items():
        for state, number in states.items():
            metric.add_metric([name, state], number)
    return metric


def _lag(now: datetime) -> Metric:
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    due = CommandEntity.objects.filter(free, due_at__lte=now).aggregate(due=Min("due_at"))["due"]
    return GaugeMetricFamily(
        "taskmonitor_poll_lag_seconds",
        "For how long the command that is due for longest, for a poll or else, waits for a worker.",
        value=(now - due).total_seconds() if due else 0,
    )


def _alive() -> list[Metric]:
    found = signs.read()
    clusters = GaugeMetricFamily(
        "taskmonitor_clusters", "Clusters of workers that live.", value=found.clusters
    )
    upkeep = GaugeMetricFamily("taskmonitor_upkeep_age_seconds", "Since the last pass of upkeep ended.")
    if found.upkeep is not None:
        upkeep.add_metric([], found.upkeep.total_seconds())
    return [clusters, upkeep]
