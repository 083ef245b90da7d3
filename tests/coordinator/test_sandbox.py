"""What an author's code does wrong stays within its own call."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction

from coordinator.command import Answer, Command, Succeeded
from coordinator.engine import worker
from coordinator.models import CommandStatus
from coordinator.registry import register
from taskmonitor.models import Event, Step
from tests.coordinator.commands import LOG, Length, Logging, Plain, Word
from tests.coordinator.conftest import Engine


@register(monitored=False, time_limit=timedelta(seconds=0.03))
class Busy(Command[Word, Length]):
    """Do nothing but store where it is."""

    def execute(self) -> Length:
        for number in range(1_000_000):
            self.checkpoint(number)
        return Length(letters=0)


@pytest.mark.django_db(transaction=True)
def test_a_limit_that_ends_within_a_commit_leaves_nothing_open() -> None:
    engine = Engine()
    for number in range(60):
        handle = engine.submit(Busy)
        engine.turn()
        assert handle.status == CommandStatus.ENDED_WITH_FAILURE
        assert engine.row(handle).error == "TookTooLong: It took longer than its time_limit."
        assert not connection.in_atomic_block
        with transaction.atomic():
            Group.objects.create(name=f"written {number}")
    assert Group.objects.filter(name__startswith="written").count() == 60


@register()
class Reporting(Logging):
    """Say a hundred times how far it is."""

    def execute(self) -> Any:
        for number in range(100):
            self.progress(current=number + 1, end=100)
        return super().execute()


def test_progress_is_written_once_a_second_and_the_last_of_it_always(engine: Engine) -> None:
    handle = engine.submit(Reporting)
    engine.turn()
    assert Event.objects.filter(verb="progressed").count() == 2
    assert Step.objects.get(pk=engine.row(handle).step_id).progress_current == 100
    assert worker.PROGRESS == 1


@register(monitored=False)
class Unlucky(Command[Word, Length]):
    """Find the database in trouble at the first of its polls."""

    def poll(self) -> Answer:
        LOG.append("poll")
        if len(LOG) == 1:
            raise OperationalError("the database is away")
        return Succeeded(Length(letters=1))


def test_the_databases_trouble_is_nobodys_fault(engine: Engine) -> None:
    handle, after = engine.submit(Unlucky), engine.submit(Plain)
    engine.run()
    assert (handle.status, after.status) == ("ENDED_SUCCESSFULLY", "ENDED_SUCCESSFULLY")


@register(monitored=False)
class Derived(Busy):
    """Have the parameters of the command above it, whatever its bases say."""

    parameters_class = Length  # type: ignore[assignment]


def test_what_a_class_says_itself_counts() -> None:
    assert Derived.parameters_class is Length
