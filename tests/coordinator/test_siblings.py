"""Many workers at the children of the same parents, at the same time."""

from threading import Thread
from time import monotonic
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now as wall_clock

from coordinator.command import Command
from coordinator.engine.queue import claim
from coordinator.engine.sandbox import Sandbox
from coordinator.engine.worker import work
from coordinator.executor import execute_async
from coordinator.models import CommandEntity
from coordinator.registry import register
from taskmonitor.models import Job
from tests.coordinator.commands import LOG, Family, Logging, Quiet, Word

WORKERS, CHILDREN, LONGEST = 4, 12, 60  # the last in seconds


@register(monitored=False)
class QuietFamily(Logging):
    """Have children that nobody is shown."""

    def execute(self) -> Any:
        for _ in range(CHILDREN):
            self.add_child(Quiet, Word())

    def end_successfully(self) -> None:
        self.note("end_successfully")


@pytest.mark.django_db(transaction=True)
@pytest.mark.mission("S118", "S120")
@pytest.mark.parametrize("kind", [Family, QuietFamily])
def test_no_wake_up_is_lost_and_nobody_waits_in_a_circle(
    kind: type[Command[Any, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    LOG.clear()
    handles = [execute_async(kind, Word(times=CHILDREN), now=wall_clock()) for _ in range(4)]
    workers = [Thread(target=_work_until_all_is_over, args=(f"w{n}",)) for n in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [handle.status for handle in handles] == ["ENDED_SUCCESSFULLY"] * 4
    assert LOG.count("end_successfully hello") == 4
    assert CommandEntity.objects.filter(status="ENDED_SUCCESSFULLY").count() == 4 * (CHILDREN + 1)
    assert not Job.objects.exclude(status="FINISHED", steps_open=0).exists()
    assert "not written yet" not in caplog.text


def _work_until_all_is_over(name: str) -> None:
    deadline = monotonic() + LONGEST
    while CommandEntity.objects.filter(due_at__isnull=False).exists() and monotonic() < deadline:
        work(claim(wall_clock(), worker=name, limit=3), wall_clock, Sandbox())
    connection.close()
