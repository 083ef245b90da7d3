"""README.md: its examples work as they stand, at the first try."""

import base64
import json
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.docs.snippets import ROOT, blocks, run
from tests.live import Site

SHELL = [one.text for one in blocks("README.md") if one.language == "sh"]
[PYTHON] = [one.text for one in blocks("README.md") if one.language == "python"]
[PLAYBOOK] = [one.text for one in blocks("README.md") if one.language == "yaml"]


@pytest.fixture
def login(site: Site) -> str:
    """The README's own export, for this site."""
    return (
        SHELL[0]
        .replace("http://127.0.0.1:8000", site.url)
        .replace("what the first start printed", site.password)
    )


def newest(site: Site, description: str) -> tuple[str, list[str]]:
    """The status of the newest job with that description, and its steps with theirs."""
    told = base64.b64encode(f"{site.username}:{site.password}".encode()).decode()
    headers = {"Authorization": f"Basic {told}", "Accept": "application/json"}
    url = f"{site.url}/api/jobs?follow=steps"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        listed: list[dict[str, Any]] = json.load(answer)["job"]
    job = next(job for job in listed if job["description"] == description)
    return job["status"], [f"{step['description']}: {step['status']}" for step in job["steps"]["step"]]


def test_the_example_for_curl(site: Site, login: str, tmp_path: Path) -> None:
    run([login, SHELL[1]], tmp_path)
    assert newest(site, "Nightly backup of web-01") == (
        "FINISHED",
        ["Freeze file systems: FINISHED", "Copy disk 1: FINISHED"],
    )


@pytest.mark.mission("S14", "S15", "S16", "S18")
def test_the_example_for_the_python_sdk(site: Site, login: str, tmp_path: Path) -> None:
    import tests.clients.sdk4  # noqa: F401 - skips, aloud, if there is no SDK

    (tmp_path / "clone.py").write_text(PYTHON)
    assert run([login, f"{sys.executable} clone.py"], tmp_path)[-1] == "finished\n"
    assert newest(site, "Clone web-01") == ("FINISHED", ["Copy disks: FINISHED", "Copy disk 1: FINISHED"])


def test_the_example_for_ansible(site: Site, login: str, collections: Path, tmp_path: Path) -> None:
    (tmp_path / "playbook.yml").write_text(PLAYBOOK)
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command = f"{playbook} playbook.yml -i localhost, -c local -e ansible_python_interpreter={sys.executable}"
    run([login, command], tmp_path, ANSIBLE_HOME=str(tmp_path), ANSIBLE_COLLECTIONS_PATH=str(collections))
    assert newest(site, "Upgrade web-01") == (
        "FINISHED",
        ["Stop the service: FINISHED", "Install packages: FINISHED"],
    )


def test_the_commands_are_those_of_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {word for text in (ROOT / "README.md",) for word in re.findall(r"make (\w+)", text.read_text())}
    assert told == {"run", "test", "demo"} <= targets
