"""What the broker hands out, and how it counts free workers."""

from typing import Any

import pytest
from django.conf import settings
from django.utils.timezone import now as wall_clock
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from coordinator import broker as broker_module
from coordinator.broker import CommandBroker

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
    good = enqueued(SignedPackage.dumps({"func": "time.sleep"}))
    assert broker.dequeue() == [(good.pk, good.payload)]
    assert free(broker) == settings.WORKERS - 1
    assert list(OrmQ.objects.all()) == [good]
    broker.worker_is_free()
    assert free(broker) == settings.WORKERS
