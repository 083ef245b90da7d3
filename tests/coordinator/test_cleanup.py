"""Ended commands are removed in time, hierarchies whole; live ones never."""

from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from coordinator import cleanup, repository
from coordinator.models import CommandEntity
from coordinator.schedules import run_upkeep
from taskmonitor import upkeep
from taskmonitor.models import Job
from taskmonitor.services import portions
from taskmonitor.services.portions import Portions
from tests.coordinator.commands import Family, Plain, Polled, Quiet
from tests.coordinator.conftest import Engine

KEPT = settings.KEEP_ENDED_COMMANDS_FOR
DAY = timedelta(days=1)


def tick(now: datetime) -> list[UUID]:
    return cleanup.tick(now, Portions(60))


@pytest.mark.mission("S105", "S110", "D22")
def test_what_ended_long_ago_is_removed_and_nothing_else(engine: Engine) -> None:
    begun = engine.now
    old = [engine.submit(Plain).command_id, engine.submit(Family, times=3).command_id]
    engine.run()
    assert CommandEntity.objects.count() == 5
    live = engine.submit(Quiet).command_id
    engine.now = begun + DAY
    young = engine.submit(Plain).command_id
    CommandEntity.objects.filter(pk=live).update(due_at=None)
    engine.run()
    assert tick(begun + KEPT) == []
    assert sorted(tick(begun + KEPT + timedelta(minutes=1))) == sorted(old)
    assert set(CommandEntity.objects.values_list("pk", flat=True)) == {live, young}
    assert Job.objects.count() == 3  # jobs have a retention of their own


@pytest.mark.mission("S110", "D22")
@pytest.mark.parametrize("status", ["NOT_STARTED", "ACTIVE", "SUCCEEDED", "FAILED", "UNKNOWN"])
def test_live_ones_stay_whatever_their_age(engine: Engine, status: str) -> None:
    handle = engine.submit(Quiet)
    CommandEntity.objects.update(status=status)
    assert tick(engine.now + 1000 * KEPT) == []
    assert engine.row(handle).status == status


@pytest.mark.mission("S110")
@pytest.mark.parametrize("fields", [{"status": "UNKNOWN"}, {"status": "ACTIVE"}, {"ended_at": None}])
def test_a_hierarchy_goes_whole_or_not_at_all(engine: Engine, fields: dict[str, Any]) -> None:
    root = engine.submit(Family, times=3).command_id
    engine.run()
    ended = CommandEntity.objects.get(pk=root).ended_at
    child = CommandEntity.objects.filter(parent_command_id=root).latest("position")
    before = {"status": child.status, "ended_at": child.ended_at}
    CommandEntity.objects.filter(pk=child.pk).update(**fields)
    assert ended
    assert tick(ended + 2 * KEPT) == []
    assert CommandEntity.objects.count() == 4
    CommandEntity.objects.filter(pk=child.pk).update(**before)
    assert tick(ended + 2 * KEPT) == [root]
    assert not CommandEntity.objects.exists()


def test_it_goes_on_portion_after_portion(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "MOST", 2)
    monkeypatch.setattr(portions, "FIRST", 2)
    monkeypatch.setattr(repository, "MANY", 7)
    for _ in range(25):
        engine.submit(Quiet)
    engine.submit(Family, times=5)
    engine.run()
    assert len(tick(engine.now + 2 * KEPT)) == 26
    assert not CommandEntity.objects.exists()


def test_a_dry_run_lists_them_and_does_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "SPELL", 60)
    handle = engine.submit(Polled, times=1)
    engine.run()
    CommandEntity.objects.update(ended_at=engine.now - 10 * KEPT)
    with CaptureQueriesContext(connection) as seen:
        assert cleanup.planned(engine.now) == [handle.command_id]
    assert not [query for query in seen if not query["sql"].startswith("SELECT")]
    out = StringIO()
    call_command("upkeep", dry_run=True, stdout=out)
    assert out.getvalue().splitlines()[-2:] == [
        "would be removed (commands): 1",
        f"  {handle.command_id}",
    ]
    assert handle.done()
    assert run_upkeep().endswith("; 1 commands removed")
    assert not CommandEntity.objects.exists()
