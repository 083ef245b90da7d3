"""Commands that leave the database as nobody should."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from coordinator.command import Command
from coordinator.executor import execute_async
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import register
from taskmonitor.models import Job
from tests.coordinator.commands import LOG, Plain, Quiet, Word
from tests.coordinator.conftest import Engine


@register()
class Leaving(Command[Word, Word]):
    """Begin a transaction and leave it open."""

    def execute(self) -> Any:
        if self.parameters.word == "autocommit":
            transaction.set_autocommit(False)
        else:
            transaction.Atomic(None, True, False).__enter__()
        Group.objects.create(name="never committed")
        if self.parameters.word == "raise":
            raise ValueError("and more")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("word", ["block", "raise", "autocommit"])
def test_a_transaction_that_a_command_leaves_open_is_undone_and_holds_nobody_up(word: str) -> None:
    engine = Engine()
    handle, after = engine.submit(Leaving, word=word), engine.submit(Plain)
    engine.turn()
    connection.close()  # what was not committed is gone with it
    assert handle.status in (CommandStatus.ENDED_SUCCESSFULLY, CommandStatus.ENDED_WITH_FAILURE)
    assert after.status == CommandStatus.ENDED_SUCCESSFULLY
    assert not Group.objects.filter(name="never committed").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.mission("S112")
def test_a_command_is_submitted_with_its_callers_transaction_or_not_at_all() -> None:
    LOG.clear()
    engine = Engine()

    def submit() -> None:
        with transaction.atomic():
            execute_async(Plain, Word(), now=engine.now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        submit()
    assert (CommandEntity.objects.count(), Job.objects.count(), engine.turn()) == (0, 0, 0)
    with transaction.atomic():
        handle = execute_async(Plain, Word(), now=engine.now)
    engine.turn()
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY


@pytest.mark.django_db(transaction=True)
def test_a_commit_of_one_statement_takes_one_round_trip() -> None:
    engine = Engine()
    with CaptureQueriesContext(connection) as told:
        handle = engine.submit(Quiet)
        engine.turn()
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY
    hint = ["NOTIFY"] if connection.vendor == "postgresql" else []
    verbs = [query["sql"].split()[0] for query in told]
    assert verbs == ["INSERT", *hint, "WITH", "SELECT", "UPDATE", "UPDATE"]
