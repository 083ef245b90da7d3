"""The examples of docs/clients.md do what they say."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.playbooks import play
from tests.docs.snippets import blocks

PYTHON, PLAYBOOK, CURL = (
    next(block.text for block in blocks("docs/clients.md")[1:] if block.language == language)
    for language in ("python", "yaml", "sh")
)
SESSION = next(block.text for block in blocks("docs/clients.md") if "persistent-auth" in block.text)


@pytest.fixture
def environment(login: dict[str, str]) -> dict[str, str]:
    return {f"OVIRT_{name.upper()}": value for name, value in login.items()}


def test_the_python_example_runs(environment: dict[str, str], jobs: Any) -> None:
    command = [sys.executable, "-W", "error", "-c", PYTHON]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", "finished\n")
    job = jobs.list(follow="steps", max=1)[0]
    assert (job.description, job.auto_cleared) == ("Nightly backup of web-01", True)
    assert [(step.description, step.status.value) for step in job.steps] == [
        ("Copy disks", "finished"),
        ("Copy disk 1", "finished"),
    ]


def test_the_playbook_runs(environment: dict[str, str], jobs: Any, collections: Path, tmp_path: Path) -> None:
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(PLAYBOOK)
    play(playbook, collections, environment)
    job = jobs.list(follow="steps", max=1)[0]
    assert (job.description, job.status.value) == ("Upgrade of cluster a", "finished")
    assert [(step.description, step.status.value) for step in job.steps] == [("Upgrade host 1", "finished")]


def test_the_curl_example_runs(environment: dict[str, str], jobs: Any) -> None:
    done = subprocess.run(["bash", "-ec", CURL], env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert jobs.list(max=1)[0].id in done.stdout


def test_a_session_goes_on_as_long_as_the_example_says(environment: dict[str, str], tmp_path: Path) -> None:
    again = 'curl -sS -o /dev/null -w "%{http_code}" -b $jar -b "JSESSIONID=$secret" "$OVIRT_URL/jobs?max=1"'
    kept = "secret=$(cut -f7 $jar | tail -n 1)"
    *lines, last = SESSION.strip().splitlines()
    script = "\n".join([*lines, kept, last, again])
    done = subprocess.run(
        ["bash", "-ec", script],
        env=os.environ | environment | {"TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "401"), done.stderr
    for name in ("api", "jobs", "last"):
        assert (tmp_path / f"{name}.xml").read_text().startswith("<?xml")
