"""docs/operators.md: each setting is told of, and what it advises works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT, blocks, run
from tests.live import Site, running_site
from tests.processes.manage import new_place

PAGE = "docs/operators.md"
SHELL = [one.text for one in blocks(PAGE) if one.language == "sh"]
READ = re.compile(
    r"""\benv\.\w+\(\s*"(\w+)"(?:,\s*default=([^)\s,]+)[,)])?|os\.environ\.get\("(\w+)"\)|"(\w+)" in os\.environ"""
)


def read_by_the_code() -> dict[str, str]:
    """Each variable that our code reads, with its default as Python writes it."""
    found: dict[str, str] = {}
    for folder in ("taskmonitor", "api", "coordinator"):
        for file in (ROOT / folder).rglob("*.py"):
            for by_env, default, by_get, by_in in READ.findall(file.read_text()):
                found.setdefault(by_env or by_get or by_in, default)
    return found


def told() -> dict[str, str]:
    """Each variable in the table, with its default."""
    section = (ROOT / PAGE).read_text().partition("## Settings")[2].partition("## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", section, re.MULTILINE))


def test_each_setting_is_told_of_and_no_other() -> None:
    assert sorted(told()) == sorted(read_by_the_code())
    assert len(told()) > 15


def test_defaults_are_told_as_they_are() -> None:
    plain = {"False": "0", '""': "", "[]": ""}
    for name, default in read_by_the_code().items():
        shown = told()[name].strip("`")
        if default and name not in ("ALLOWED_HOSTS", "THREADS", "TASKMONITOR_DATA"):
            assert shown == plain.get(default, default.replace("_", "").strip('"')), name


def advice(words: str, folder: Path) -> str:
    """The one command of the page that has these words, on backups in the folder."""
    [command] = [one for one in SHELL if words in one]
    command = command.replace(".venv/bin/python", sys.executable).replace("/var/backups", str(folder))
    return re.sub(r"task-monitor-\d{4}-\d\d-\d\d", "task-monitor-*", command)


def test_a_backup_taken_while_it_runs_can_be_restored(site: Site, tmp_path: Path) -> None:
    run([advice("manage.py backup", tmp_path)], ROOT, **site.environment)
    count = "from django.contrib.auth.models import User; print(User.objects.count())"
    before = site.manage("shell", "-v", "0", "-c", count)
    with new_place(tmp_path / "data") as place:
        run([advice("manage.py restore", tmp_path)], ROOT, **place.environment)
        with running_site(place.data, **place.environment) as restored:
            assert restored.manage("shell", "-v", "0", "-c", count) == before
            assert "Superuser" not in restored.output
            [said] = run([advice("manage.py resume", tmp_path)], ROOT, **place.environment)
            assert said == "Released: the workers go on.\n"


def test_the_dry_run_says_what_is_shown(tmp_path: Path) -> None:
    [shown] = [one.text for one in blocks(PAGE) if one.text.startswith("would be")]
    with running_site(tmp_path / "data") as site:
        printed = run([advice("--dry-run", tmp_path)], ROOT, **site.environment)
    assert printed == [shown]


def test_the_unit_is_one(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("There is no systemd-analyze here.")
    [unit] = [one.text for one in blocks(PAGE) if one.language == "ini"]
    place = tmp_path / "task-monitor.service"
    place.write_text(unit.replace("/opt/task-monitor/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", place], capture_output=True, text=True)
    assert not [line for line in done.stderr.splitlines() if place.name in line], done.stderr
