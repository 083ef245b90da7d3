"""What is in a worker's hand while one command takes long."""

from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection
from django.utils import timezone

from coordinator import hand
from coordinator.broker import claim
from coordinator.command import Command
from coordinator.execution import run_batch
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import register
from coordinator.testing import Worker
from tests.coordinator.commands import Length, Plain, Polled, Word
from tests.processes.eyes import eventually


@register(monitored=False)
class Slow(Command[Word, Length]):
    """Take as long as it is made to."""

    begun, may_end = Event(), Event()

    def execute(self) -> Length:
        self.begun.set()
        assert self.may_end.wait(60)
        return Length(letters=0)


@pytest.mark.django_db(transaction=True)
def test_nothing_waits_behind_a_long_command_that_stays_held(
    monkeypatch: pytest.MonkeyPatch, settings: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(hand, "SLICE", 0.2)
    settings.COMMAND_LEASE = timedelta(seconds=2)  # type: ignore[attr-defined]
    worker = Worker(now=timezone.now() - timedelta(minutes=1))
    polled, slow, after = (worker.submit(kind, times=15) for kind in (Polled, Slow, Plain))
    for place, handle in enumerate((polled, slow, after)):
        created = timezone.now() + timedelta(microseconds=place)
        CommandEntity.objects.filter(pk=handle.command_id).update(created_at=created)
    CommandEntity.objects.filter(pk=polled.command_id).update(status=CommandStatus.ACTIVE, executed=True)

    def busy() -> None:
        run_batch(claim(timezone.now(), worker="busy", limit=10))
        connection.close()

    thread = Thread(target=busy)
    thread.start()
    assert Slow.begun.wait(60)
    first_lease = worker.row(slow).lease_until
    eventually(lambda: worker.row(polled).lease_until is None)
    eventually(lambda: timezone.now() > first_lease)
    claims = dict(claim(timezone.now(), worker="free", limit=10))
    assert after.command_id in claims
    assert slow.command_id not in claims
    Slow.may_end.set()
    thread.join()
    assert slow.status == CommandStatus.ENDED_SUCCESSFULLY
    assert after.status == CommandStatus.NOT_STARTED
