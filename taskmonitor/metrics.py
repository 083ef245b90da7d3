"""What each process counts of its own work, for /metrics. Names are OpenTelemetry's where it has one.

Labels have few values each, and none that a client can make up.
"""

from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from time import monotonic

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from taskmonitor.version import VERSION

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
)  # as OpenTelemetry has them
SHARE, LEAST, LONGEST = 50, 1.0, 60.0  # metrics that took a second are told again for SHARE, within bounds
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

Gauge("taskmonitor_build_info", "1; the version is the label's.", ["version"], registry=REGISTRY).labels(
    VERSION
).set(1)
ACTIVE_REQUESTS = Gauge(
    "http_server_active_requests", "Requests that are being answered, streams included.", registry=REGISTRY
)
REQUEST_DURATION = Histogram(
    "http_server_request_duration_seconds",
    "From a request's head to the first byte of its answer.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=SECONDS,
    registry=REGISTRY,
)
STREAM_READERS = Gauge(
    "taskmonitor_stream_readers",
    "Browsers that follow live changes, each by one stream for all its windows.",
    registry=REGISTRY,
)
LOGINS_REFUSED = Counter(
    "taskmonitor_logins_refused",
    "Logins with a wrong name or password, or not looked at: after too many, or while too many are checked.",
    ["reason"],
    registry=REGISTRY,
)
for _reason in ("wrong", "too_many", "busy"):
    LOGINS_REFUSED.labels(_reason)


@lru_cache(maxsize=1000)
def request_duration(method: str, route: str, status: int) -> Histogram:
    """What observes requests of that kind."""
    return REQUEST_DURATION.labels(method if method in METHODS else "_OTHER", route, str(status))


class Exposition:
    """The text of all metrics, kept for a while. Of many who ask, one makes it."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._making = Lock()
        self._text = b""
        self._until = 0.0

    def text(self) -> bytes:
        if monotonic() < self._until or not self._making.acquire(blocking=not self._text):
            return self._text
        try:
            if monotonic() >= self._until:  # somebody may have made it while this one waited
                begun = monotonic()
                self._text = self._make()
                took = monotonic() - begun
                self._until = monotonic() + min(max(took * SHARE, LEAST), LONGEST)
            return self._text
        finally:
            self._making.release()


exposition = Exposition(lambda: generate_latest(REGISTRY))
