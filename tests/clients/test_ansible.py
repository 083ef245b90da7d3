"""Ansible's own `ovirt.ovirt.ovirt_job`, run by ansible-playbook on a running site."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.clients.sdk4 import unavailable
from tests.factories import PASSWORD

PLAYBOOK = Path(__file__).with_name("playbook.yml")
COLLECTIONS = Path(sys.prefix, "share", "collections")  # where requirements-collections.lock is downloaded to


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the oVirt collection, out of the wheel that holds all of Ansible's."""
    wheels = sorted(COLLECTIONS.glob("ansible-*.whl"))
    if not wheels or not Path(sys.prefix, "bin", "ansible-playbook").exists():
        unavailable("Ansible or its collections are missing; see requirements-clients.lock and tests/run.")
    place = tmp_path_factory.mktemp("collections")
    with ZipFile(wheels[-1]) as wheel:
        ours = [name for name in wheel.namelist() if name.startswith("ansible_collections/ovirt/")]
        wheel.extractall(place, ours)
    return place


@pytest.mark.mission("S15", "S16", "S18")
@pytest.mark.parametrize(
    ("base", "logins"), [("/ovirt-engine/api", "one for all tasks"), ("/api", "one for each task")]
)
def test_a_playbook_reports_its_work(
    origin: str, jobs: Any, collections: Path, tmp_path: Path, base: str, logins: str
) -> None:
    good, bad = (f" {kind}: 升级 & <upgrade> 🚀 {base} " for kind in ("good", "bad"))
    login = {"url": origin + base, "username": "plugin@internal", "password": PASSWORD}
    given: dict[str, Any] = {"good": good, "bad": bad, "ansible_python_interpreter": sys.executable}
    settings = {"ANSIBLE_HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(collections)}
    if logins == "one for each task":
        given["login_for_each_task"] = login
    else:
        settings |= {f"OVIRT_{name.upper()}": value for name, value in login.items()}
    playbook = Path(sys.prefix, "bin", "ansible-playbook")
    command = [playbook, PLAYBOOK, "-c", "local", "-i", "localhost,", "-e", json.dumps(given)]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    listed = jobs.list(follow="steps")
    assert [job.status.value for job in listed if job.description == good] == ["finished"]
    assert [job.status.value for job in listed if job.description == bad] == ["failed", "failed"]
    steps = {
        step.description: step.status.value for job in listed if job.description == good for step in job.steps
    }
    assert steps == {"Prepare": "finished", "Upgrade": "finished"}
    assert {step.status.value for job in listed if job.description == bad for step in job.steps} == {"failed"}
