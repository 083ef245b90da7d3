"""How long steps take, for /metrics: found in the feed, so that it costs those who end steps nothing.

Steps end in web servers and workers, on every host; each end is an event in the feed.
"""

from operator import add
from typing import Any

from django.db.models import Count, FloatField, Func, Q, Sum
from prometheus_client.core import HistogramMetricFamily, Metric

from taskmonitor import feed
from taskmonitor.lifecycle import ENDED
from taskmonitor.models import Event, Step, StepType, Verb

SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 14400, 86400)  # upper bounds of the buckets
MOST = 20_000  # events that are looked through at once; of more, the oldest are left out


class _Took(Func):
    """Seconds from a step's start to its end."""

    output_field = FloatField()
    template = "EXTRACT(EPOCH FROM end_time - start_time)"

    def __init__(self) -> None:
        super().__init__("end_time", "start_time")  # or it would be taken for a constant

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[()]]:
        return "ROUND((julianday(end_time) - julianday(start_time)) * 86400, 3)", ()


# Within each bound, and at all
_WITHIN = {f"within_{bound}": Count("pk", filter=Q(took__lte=bound)) for bound in SECONDS}
_WITHIN["every"] = Count("pk")


class StepDurations:
    """How long the steps took that ended since this process was first asked."""

    def __init__(self, seen: int) -> None:
        self._seen = seen
        self._counts = {(kind, status): [0] * len(_WITHIN) for kind in StepType.values for status in ENDED}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def metric(self) -> Metric:
        self._read_on()
        metric = HistogramMetricFamily(
            "taskmonitor_step_duration_seconds",
            "From a step's start to its end, of all steps of the site that ended meanwhile.",
            labels=["step_type", "status"],
        )
        bounds = [*(str(float(bound)) for bound in SECONDS), "+Inf"]
        for key, counts in self._counts.items():
            metric.add_metric(list(key), list(zip(bounds, counts, strict=True)), self._sums[key])
        return metric

    def _read_on(self) -> None:
        last = feed.last()
        ends = Event.objects.filter(position__gt=max(self._seen, last - MOST), position__lte=last)
        ended = ends.filter(verb=Verb.MOVED, step_id__isnull=False, new_status__in=ENDED).values("step_id")
        steps = Step.objects.filter(pk__in=ended, status__in=ENDED).alias(took=_Took()).order_by()
        sums = steps.values_list("type", "status").annotate(total=Sum("took"), **_WITHIN)
        for kind, status, total, *counts in sums:
            key = kind, status
            self._sums[key] += total
            self._counts[key] = list(map(add, self._counts[key], counts))
        self._seen = last
