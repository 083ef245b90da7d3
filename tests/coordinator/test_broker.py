"""What the broker hands out, and how it counts free workers."""

import os
from typing import Any

import pytest
from django.conf import settings
from django.utils.timezone import now as wall_clock
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from coordinator import broker as broker_module
from coordinator.broker import CommandBroker
from coordinator.schedules import UPKEEP

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> CommandBroker:
    monkeypatch.setattr(broker_module, "LOOK", 0.01)
    return CommandBroker("test")


def free(broker: CommandBroker) -> int:
    return int(broker._free.get_value())


def enqueued(payload: str) -> OrmQ:
    return OrmQ.objects.create(key="test", payload=payload, lock=wall_clock())


def test_whatever_goes_wrong_costs_no_workers_place(
    broker: CommandBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("no pipe can be made")

    monkeypatch.setattr(broker, "_wait", fail)
    with pytest.raises(OSError, match="no pipe"):
        broker.dequeue()
    assert free(broker) == settings.WORKERS


class Unreadable:
    """Its class is gone when it is read."""

    def __reduce__(self) -> Any:
        return __import__, ("no_such_module",)


@pytest.mark.parametrize("payload", ["nonsense", SignedPackage.dumps({"func": Unreadable()})])
def test_a_task_that_nobody_can_read_is_dropped_and_costs_no_workers_place(
    broker: CommandBroker, payload: str
) -> None:
    enqueued(payload)
    good = enqueued(SignedPackage.dumps({"func": UPKEEP}))
    assert broker.dequeue() == [(good.pk, good.payload)]
    assert free(broker) == settings.WORKERS - 1
    assert list(OrmQ.objects.all()) == [good]
    broker.worker_is_free()
    assert free(broker) == settings.WORKERS


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("os.system", {}),
        ("os.system", {"sync": True}),
        (os.system, {}),
        (UPKEEP, {"hook": "os.system"}),
        (UPKEEP, {"hook": os.system}),
        (UPKEEP, {"chain": [("os.system", ("exit 3",))]}),
        ("coordinator.execution.run_batch", {}),
        ("coordinator.schedules.make_schedules", {}),
    ],
)
def test_a_task_that_is_not_of_the_register_is_dropped_and_the_log_says_so(
    broker: CommandBroker, caplog: pytest.LogCaptureFixture, function: Any, options: dict[str, Any]
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
    broker: CommandBroker, tmp_path: Any, sync: bool
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
    broker.worker_is_free()
    assert broker.dequeue() is None
    assert not OrmQ.objects.exclude(payload=payload).exists()
    assert not mark.exists()
