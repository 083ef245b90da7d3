"""The workers: a django-q2 cluster in one process and its children."""

import os
import select
import signal
from threading import Event
from types import FrameType
from uuid import uuid4

from django_q.cluster import Sentinel


def run_cluster() -> None:
    """Run a cluster in this process until SIGTERM; then what its workers are at ends first.

    django-q2's own Cluster stops its sentinel through a lock, and hangs if the sentinel was killed meanwhile.
    """
    stop = Stop()
    sentinel = Sentinel(stop, Event(), uuid4(), start=False)
    signal.signal(signal.SIGTERM, stop.on_signal)
    sentinel.start()


class Stop:
    """As much of an event as a sentinel needs, set by a signal."""

    def __init__(self) -> None:
        self._set = False
        self._woken, self._wake = os.pipe()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self._set = True
        os.write(self._wake, b"!")

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float) -> bool:
        select.select([self._woken], [], [], seconds)
        return self._set
