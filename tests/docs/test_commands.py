"""docs/commands.md: its package is built, installed, tested and run; its other commands run too."""

import json
import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from coordinator import command, registry
from coordinator.command import Command
from coordinator.executor import CommandFailed
from coordinator.models import CommandEntity
from coordinator.testing import Worker
from tests.docs.snippets import ROOT, blocks, run
from tests.live import own_database, running_site

PAGE = "docs/commands.md"
PROSE = (ROOT / PAGE).read_text()
BLOCKS = blocks(PAGE)


def written_in(language: str) -> list[str]:
    return [block.text for block in BLOCKS if block.language == language]


PACKAGE = {
    "pyproject.toml": written_in("toml")[0],
    "acme_files.py": written_in("python")[0],
    "test_acme_files.py": written_in("python")[1],
}
FRAGMENTS = written_in("python")[2:]
INSTALL, CURL = written_in("sh")
[SHELL] = written_in("py")


def unpacked(place: Path) -> Path:
    """The folder of the package."""
    folder = place / "acme-files"
    folder.mkdir()
    for name, content in PACKAGE.items():
        (folder / name).write_text(content)
    return folder


def test_the_package_is_short() -> None:
    assert sum(bool(line.strip()) for content in PACKAGE.values() for line in content.splitlines()) < 60


def test_the_package_is_installed_tested_and_run(tmp_path: Path) -> None:
    unpacked(tmp_path)
    plugins, data, files = (tmp_path / name for name in ("plugins", "data", "files"))
    options = f"--quiet --no-deps --no-build-isolation --no-index --target {plugins}"
    install = INSTALL.replace(
        "$TASK_MONITOR/.venv/bin/pip install", f"{sys.executable} -m pip install {options}"
    )
    install = install.replace("$TASK_MONITOR/.venv/bin/python", sys.executable)
    with own_database() as database:
        environment = {"TASK_MONITOR": str(ROOT), "TASKMONITOR_DATA": str(tmp_path / "tests"), **database}
        [printed] = run([install], tmp_path, **environment)
    assert "2 passed" in printed

    files.mkdir()
    (files / "a").write_bytes(b"content")
    with running_site(data, PYTHONPATH=str(plugins), ACME_FOLDER=str(files)) as site:
        [answer] = run([CURL], tmp_path, SITE=site.url, PASSWORD=site.password)
        told = json.loads(answer)
        assert told["status"] == "ENDED_SUCCESSFULLY"
        assert (files / "b").read_bytes() == b"content"
        assert site.manage("shell", "-v", "0", "-c", SHELL) == "NOT_STARTED size=7\n"
        assert (files / "c").read_bytes() == b"content"


class Disk(BaseModel):
    name: str


class Disks(BaseModel):
    names: list[str]


class Decision(BaseModel):
    yes: bool


@dataclass
class Look:
    percent: int
    trouble: str = ""


class Storage:
    """Disks that grow, by half at each look."""

    def __init__(self) -> None:
        self.disks: dict[str, Look] = {}
        self.keys: list[str] = []

    def grow(self, name: str, *, key: str) -> None:
        self.disks[name] = Look(0)
        self.keys.append(key)

    def look(self, name: str) -> Look:
        disk = self.disks[name]
        disk.percent += 50
        disk.trouble = "no room" if name == "full" else ""
        return disk


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> dict[str, Any]:
    """The names in the page's code, once it was run; its commands are forgotten afterwards."""
    known = dict(registry._commands)
    monkeypatch.setattr(registry, "_commands", known)
    spec = spec_from_file_location("acme_files", unpacked(tmp_path) / "acme_files.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    (tmp_path / "one").write_bytes(b"content")
    names = {
        **vars(command),
        "__name__": __name__,
        "register": registry.register,
        "timedelta": timedelta,
        "storage": Storage(),
        **{kind.__name__: kind for kind in (Disk, Disks, Decision)},
        **{name: getattr(module, name) for name in ("CopyFile", "Copy")},
    }
    for fragment in FRAGMENTS:
        exec(fragment, names)  # noqa: S102 - it is ours
    return names


def test_work_that_goes_on_elsewhere(acme: dict[str, Any]) -> None:
    worker = Worker()
    good, bad = worker.submit(acme["Grow"], name="one"), worker.submit(acme["Grow"], name="full")
    worker.run()
    assert good.result() == Disk(name="one")
    assert worker.row(bad).error == "no room"
    assert set(acme["storage"].keys) == {str(good.command_id), str(bad.command_id)}


def test_children(acme: dict[str, Any], tmp_path: Path) -> None:
    worker = Worker()
    all_of_them = worker.submit(acme["GrowAll"], names=["two", "three", "full"])
    series = worker.submit(acme["GrowAndCopy"], name="one")
    worker.run()
    assert "1 of its child commands failed" in worker.row(all_of_them).error
    assert series.done()
    series.result()
    assert (tmp_path / "one.copy").read_bytes() == b"content"
    assert CommandEntity.objects.count() == 7


def test_events(acme: dict[str, Any]) -> None:
    worker = Worker()
    heard = worker.submit(acme["Approval"])
    worker.run(events={"decision": {"yes": True}})
    assert heard.result() == Decision(yes=True)
    unheard = worker.submit(acme["Approval"])
    begin = worker.now
    worker.run()
    with pytest.raises(CommandFailed, match="Nobody has decided"):
        unheard.result()
    assert worker.now - begin == timedelta(hours=40)


def test_the_methods_and_bounds_are_told_as_they_are() -> None:
    methods = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]+ \| [^|]+ \|$", PROSE, re.MULTILINE)
    named = {name for cell in methods for name in re.findall(r"`(\w+)`", cell)}
    assert named >= {"validate", "execute", "poll", "on_event", "perform_next_operation", "end_with_failure"}
    assert all(hasattr(Command, name) for name in named)
    told = dict(re.findall(r"^\| `(\w+)` \| (\d+)(?: minutes| s)? \|", PROSE, re.MULTILINE))
    minutes = {name: getattr(Command, name) / timedelta(minutes=1) for name in ("time_limit", "lifetime")}
    others = {name: getattr(Command, name) for name in ("longest_poll", "most_attempts", "end_attempts")}
    assert {name: float(value) for name, value in told.items()} == minutes | others
