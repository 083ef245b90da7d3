"""F11: what a worker is handed comes twice, or late, or after it was removed."""

from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.engine.queue import claim
from coordinator.engine.sandbox import Sandbox
from coordinator.engine.worker import work
from coordinator.models import CommandEntity
from coordinator.repository import remove_all_commands_in_hierarchy
from coordinator.testing import Worker
from tests.faults.commands import Family, Plain, Polled, Resumable, Waiting
from tests.faults.evidence import lines
from tests.faults.ground import ROUNDS

KINDS = [Plain, Polled, Family, Resumable, Waiting]


@pytest.fixture
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAULTS_EFFECTS", str(tmp_path / "effects"))
    return tmp_path / "effects"


@pytest.mark.django_db
@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=9)])
def test_what_is_handed_out_again_is_done_once(effects: Path, late: timedelta) -> None:
    for _ in range(min(ROUNDS, 200) or 2):
        worker = Worker()
        for kind in KINDS:
            worker.submit(kind, times=2)
        claims = claim(worker.now, worker="x/0/0", limit=100)
        work(claims, lambda worker=worker: worker.now, Sandbox())
        stored = list(CommandEntity.objects.order_by("pk").values())
        done = lines(effects)
        worker.now += late
        for _ in range(3):
            work(claims, lambda worker=worker: worker.now, Sandbox())
        assert lines(effects) == done
        assert list(CommandEntity.objects.order_by("pk").values()) == stored
        CommandEntity.objects.all().delete()


@pytest.mark.django_db
def test_what_was_given_to_another_worker_is_left_to_it(effects: Path) -> None:
    worker = Worker()
    worker.submit(Plain)
    lost = claim(worker.now, worker="x/0/0", limit=100)
    worker.now += timedelta(minutes=1)
    now_its = claim(worker.now, worker="y/0/0", limit=100)
    work(lost, lambda: worker.now, Sandbox())
    assert lines(effects) == []
    work(now_its, lambda: worker.now, Sandbox())
    work(lost, lambda: worker.now, Sandbox())
    assert [line["what"] for line in lines(effects)] == ["execute", "executed"]


@pytest.mark.django_db
def test_what_was_removed_meanwhile_is_let_be(effects: Path) -> None:
    worker = Worker()
    handle = worker.submit(Plain)
    claims = claim(worker.now, worker="x/0/0", limit=100)
    remove_all_commands_in_hierarchy(handle.command_id)
    work(claims, lambda: worker.now, Sandbox())
    assert lines(effects) == []
    assert not CommandEntity.objects.exists()
