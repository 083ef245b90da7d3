"""Events that commands wait for."""

from datetime import timedelta
from typing import Any

import pytest

from coordinator.command import Answer, Command, Succeeded, WaitFor
from coordinator.executor import deliver
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import register
from taskmonitor.errors import Conflict, Invalid
from tests.coordinator.commands import LOG, Ending, Length, Waiting, Word
from tests.coordinator.conftest import Engine


@register()
class Twice(Ending):
    """Wait for two events, one after the other."""

    def execute(self) -> Any:
        return WaitFor("first")

    def on_event(self, data: Any) -> Answer:
        self.note(f"event {data}")
        return WaitFor("second") if data == "one" else Succeeded(Length(letters=2))


@register(monitored=False)
class Patient(Command[Word, Length]):
    """Wait for an event, and do nothing else."""

    def execute(self) -> Any:
        return WaitFor("news", timeout=timedelta(minutes=1))

    def on_event(self, data: Any) -> Answer:
        LOG.append(f"event {data}")
        return Succeeded(Length(letters=1))

    def end_successfully(self) -> None:
        LOG.append("end")


def test_an_event_may_lead_to_the_next_waiting(engine: Engine) -> None:
    handle = engine.submit(Twice)
    engine.turn()
    engine.deliver(handle, "one")
    engine.turn()
    row = engine.row(handle)
    assert (row.waits_for, row.event, row.status) == ("second", None, "ACTIVE"), row.error
    engine.deliver(handle, "two")
    engine.turn()
    assert handle.result() == Length(letters=2)
    assert LOG == ["event one hello", "event two hello", "end_successfully hello"]


def test_an_event_may_come_without_data(engine: Engine) -> None:
    handle = engine.submit(Patient)
    engine.turn()
    engine.deliver(handle)
    engine.turn()
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY
    assert LOG == ["event None", "end"]


def test_that_an_event_did_not_come_is_no_success(engine: Engine) -> None:
    handle = engine.submit(Patient)
    engine.turn()
    engine.turn(61)
    assert handle.status == CommandStatus.ACTIVE
    engine.deliver(handle, "late")
    engine.turn()
    assert LOG == ["event late", "end"]


@register(lifetime=timedelta(minutes=1))
class Mayfly(Ending):
    """Wait for an event for longer than it may live."""

    def execute(self) -> Any:
        return WaitFor("news", timeout=timedelta(hours=5))


def test_waiting_is_not_longer_than_life(engine: Engine) -> None:
    handle = engine.submit(Mayfly)
    engine.turn()
    assert engine.turn(59) == 0
    engine.turn(1)
    assert "longer than 0:01:00" in engine.row(handle).error
    assert LOG == ["end_with_failure hello"]


@pytest.mark.parametrize("data", [{1, 2}, float("nan")], ids=["a set", "not a number"])
def test_data_that_is_no_json_is_refused(engine: Engine, data: Any) -> None:
    handle = engine.submit(Waiting)
    with pytest.raises(Invalid):
        engine.deliver(handle, data)
    assert engine.row(handle).event is None


def test_what_is_set_aside_hears_of_no_event(engine: Engine) -> None:
    handle = engine.submit(Waiting)
    CommandEntity.objects.update(command_type="gone")
    engine.turn()
    assert handle.status == CommandStatus.HELD
    with pytest.raises(Conflict):
        deliver(handle.command_id, "news", now=engine.now)
    assert engine.turn() == 0


@register(monitored=False)
class Overtaken(Patient):
    """Wait for an event that comes before, by a clock that is set forward meanwhile."""

    def execute(self) -> Any:
        now = CommandEntity.objects.get(pk=self.command_id).created_at
        deliver(self.command_id, "early", now=now + timedelta(hours=self.parameters.times))
        return WaitFor("news", timeout=timedelta(hours=5))


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_an_event_that_comes_early_is_heard_whatever_the_clock_says(engine: Engine, hours: int) -> None:
    engine.submit(Overtaken, times=hours)
    engine.turn()
    engine.turn(max(hours, 0) * 3600)
    assert LOG == ["event early", "end"]
