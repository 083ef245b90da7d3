"""Ansible's own `ovirt.ovirt.ovirt_job`, run by ansible-playbook on a running site."""

from pathlib import Path
from typing import Any

import pytest

from tests.clients.playbooks import play

PLAYBOOK = Path(__file__).with_name("playbook.yml")


@pytest.mark.mission("S15", "S16", "S18")
@pytest.mark.parametrize(
    ("base", "logins"), [("/ovirt-engine/api", "one for all tasks"), ("/api", "one for each task")]
)
def test_a_playbook_reports_its_work(
    origin: str, login: dict[str, str], jobs: Any, collections: Path, base: str, logins: str
) -> None:
    good, bad = (f" {kind}: 升级 & <upgrade> 🚀 {base} " for kind in ("good", "bad"))
    login = login | {"url": origin + base}
    if logins == "one for all tasks":
        environment = {f"OVIRT_{name.upper()}": value for name, value in login.items()}
        play(PLAYBOOK, collections, environment, good=good, bad=bad)
    else:
        play(PLAYBOOK, collections, {}, good=good, bad=bad, login_for_each_task=login)

    listed = jobs.list(follow="steps")
    assert [job.status.value for job in listed if job.description == good] == ["finished"]
    assert [job.status.value for job in listed if job.description == bad] == ["failed", "failed"]
    steps = {
        step.description: step.status.value for job in listed if job.description == good for step in job.steps
    }
    assert steps == {"Prepare": "finished", "Upgrade": "finished"}
    assert {step.status.value for job in listed if job.description == bad for step in job.steps} == {"failed"}
