"""What the watch hands out of django-q2's own tasks."""

import os
from typing import Any

import pytest
from django.utils.timezone import now as wall_clock
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from coordinator.engine import watch
from coordinator.engine.watch import Watch
from coordinator.schedules import UPKEEP

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(watch, "TICK", 0)
    monkeypatch.setattr(watch, "TASKS", 0)
    return Watch("test")


def enqueued(payload: str) -> OrmQ:
    return OrmQ.objects.create(key="test", payload=payload, lock=wall_clock())


class Unreadable:
    """Its class is gone when it is read."""

    def __reduce__(self) -> Any:
        return __import__, ("no_such_module",)


@pytest.mark.parametrize("payload", ["nonsense", SignedPackage.dumps({"func": Unreadable()})])
def test_a_task_that_nobody_can_read_is_dropped(broker: Watch, payload: str) -> None:
    enqueued(payload)
    good = enqueued(SignedPackage.dumps({"func": UPKEEP}))
    assert broker.dequeue() == [(good.pk, good.payload)]
    assert list(OrmQ.objects.all()) == [good]


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("os.system", {}),
        ("os.system", {"sync": True}),
        (os.system, {}),
        (UPKEEP, {"hook": "os.system"}),
        (UPKEEP, {"hook": os.system}),
        (UPKEEP, {"chain": [("os.system", ("exit 3",))]}),
        ("coordinator.engine.cluster.pump", {}),
        ("coordinator.schedules.make_schedules", {}),
    ],
)
def test_a_task_that_is_not_of_the_register_is_dropped_and_the_log_says_so(
    broker: Watch, caplog: pytest.LogCaptureFixture, function: Any, options: dict[str, Any]
) -> None:
    async_task(function, "exit 3", broker=broker, **options)
    good = async_task(UPKEEP, broker=broker)
    [(_, payload)] = broker.dequeue() or []
    assert SignedPackage.loads(payload)["id"] == good
    assert OrmQ.objects.count() == 1
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith("A task is dropped, for it is not of the register: ")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sync", [False, True])
def test_a_schedule_runs_nothing_that_is_not_of_the_register(
    broker: Watch, tmp_path: Any, sync: bool
) -> None:
    mark = tmp_path / "mark"
    Schedule.objects.all().update(next_run=wall_clock())
    Schedule.objects.create(
        func="os.system",
        args=repr((f"touch {mark}",)),
        kwargs=repr({"q_options": {"sync": sync}}),
        hook="os.system",
        schedule_type="O",
        next_run=wall_clock(),
    )
    scheduler(broker=broker)
    assert {SignedPackage.loads(row.payload)["func"] for row in OrmQ.objects.all()} == {UPKEEP, "os.system"}
    [(_, payload)] = broker.dequeue() or []
    assert SignedPackage.loads(payload)["func"] == UPKEEP
    assert broker.dequeue() is None
    assert not OrmQ.objects.exclude(payload=payload).exists()
    assert not mark.exists()
