"""Hints to the workers of a site; nobody is ever harmed by one that fails."""

import os
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest

from coordinator import nudge
from coordinator.models import Lane
from coordinator.nudge import Bell, _ring


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(nudge, "_folder", lambda lane: tmp_path / "bells")
    return tmp_path / "bells"


def test_a_hint_wakes_whoever_listens_and_is_remembered(folder: Path) -> None:
    bell = Bell(Lane.POLL)
    Thread(target=_ring, args=(Lane.POLL,)).start()
    begin = monotonic()
    bell.wait(5)
    _ring(Lane.POLL)
    bell.wait(5)
    assert monotonic() - begin < 4


def test_pipes_of_the_dead_are_removed(folder: Path) -> None:
    folder.mkdir()
    for number in range(300):
        os.mkfifo(folder / str(number))
    bell = Bell(Lane.POLL)
    _ring(Lane.POLL)
    assert len(list(folder.iterdir())) == 1
    bell.wait(5)


def test_a_bell_is_not_rung_before_it_can_hear(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkfifo = os.mkfifo

    def rung_meanwhile(path: Path, mode: int) -> None:
        mkfifo(path, mode)
        _ring(Lane.POLL)

    monkeypatch.setattr(os, "mkfifo", rung_meanwhile)
    bell = Bell(Lane.POLL)
    begin = monotonic()
    _ring(Lane.POLL)
    bell.wait(5)
    assert monotonic() - begin < 4


def test_whoever_listened_may_die_while_the_hint_is_on_its_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bell = Bell(Lane.POLL)
    opened = os.open

    def die_after(path: Path, flags: int) -> int:
        pipe = opened(path, flags)
        os.close(bell._pipe)
        return pipe

    monkeypatch.setattr(os, "open", die_after)
    _ring(Lane.POLL)


def test_what_is_no_pipe_is_left_alone(folder: Path) -> None:
    (folder / "folder").mkdir(parents=True)
    _ring(Lane.POLL)
    folder.chmod(0)
    _ring(Lane.POLL)
    folder.chmod(0o700)
