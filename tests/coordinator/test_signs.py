"""Signs of life: what they say of clusters and upkeep."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from coordinator import signs
from coordinator.command import Command
from coordinator.engine.queue import claim
from coordinator.models import LifeSign
from coordinator.schedules import run_upkeep
from taskmonitor.models import SYSTEM
from taskmonitor.services.site import hold, release
from tests.coordinator.commands import Plain
from tests.coordinator.conftest import Engine
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def left(name: str, *, ago: float, since: float = 0) -> None:
    """A sign of so many seconds ago, of what began `since` seconds ago."""
    LifeSign.objects.update_or_create(
        name=name,
        defaults={"at": Now() - timedelta(seconds=ago), "since": Now() - timedelta(seconds=max(ago, since))},
    )


def test_a_cluster_lives_for_two_periods_after_its_sign() -> None:
    assert signs.problems() == ["No workers run."]
    left("here", ago=19)
    assert signs.problems() == []
    left("here", ago=22)
    assert signs.problems() == ["The workers gave their last sign of life 22 s ago."]
    left("elsewhere", ago=1)
    assert signs.problems() == []
    assert signs.read().clusters == 1


def test_why_the_workers_of_a_restored_database_do_nothing_is_told() -> None:
    hold(actor=SYSTEM, now=NOW)
    [why] = signs.problems()
    assert "restored" in why
    release(actor=SYSTEM, now=NOW)
    assert signs.problems() == ["No workers run."]


def test_a_sign_from_the_future_is_none() -> None:
    left("here", ago=-60)
    assert signs.read().clusters == 0


def test_upkeep_is_missed_after_two_periods() -> None:
    left("here", ago=1, since=119)
    assert signs.problems() == []
    left("here", ago=1, since=125)
    assert signs.problems() == ["Upkeep has not run since the workers started 125 s ago."]
    left(signs.UPKEEP, ago=118)
    assert signs.problems() == []
    left(signs.UPKEEP, ago=130)
    assert signs.problems() == ["Upkeep last ended 130 s ago."]


def test_upkeep_may_wait_for_a_command_that_holds_a_worker(engine: Engine) -> None:
    left("here", ago=1, since=9999)
    left(signs.UPKEEP, ago=400)
    assert signs.problems() == ["Upkeep last ended 400 s ago."]
    engine.submit(Plain)
    claim(engine.now + timedelta(days=1000), worker="here", limit=1)  # engine.now may be of any year
    assert signs.read().busy
    assert signs.problems() == []
    left(signs.UPKEEP, ago=430)
    assert signs.problems() == ["Upkeep last ended 430 s ago."]


def test_a_command_may_hold_a_worker_for_as_long_as_its_call_may_take() -> None:
    assert Command.time_limit == signs.LONGEST_CALL


def test_a_sign_can_be_renewed_and_taken_back() -> None:
    left("long dead", ago=signs.FORGOTTEN.total_seconds() + 9)
    signs.show("here")
    begun = LifeSign.objects.get(name="here").since
    signs.show("here")
    assert LifeSign.objects.get().since == begun
    signs.withdraw("here")
    assert not LifeSign.objects.exists()


def test_each_pass_of_upkeep_leaves_one() -> None:
    run_upkeep()
    assert signs.read().upkeep < timedelta(seconds=5)  # type: ignore[operator]
