"""A plug-in in Java, on the JDK's own HttpClient, where there is a JDK: the one of docs/clients.md."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.snippets import blocks
from tests.live import Site
from tests.processes.http import ask

[PROGRAM] = [block.text for block in blocks("docs/clients.md") if block.language == "java"]


@pytest.mark.skipif(not shutil.which("javac"), reason="There is no JDK here.")
@pytest.mark.parametrize("base", ["/api", "/ovirt-engine/api"])
def test_javas_own_client_reports_its_work(
    site: Site, origin: str, login: dict[str, str], base: str, tmp_path: Path
) -> None:
    """It says nothing of what it accepts, and offers an upgrade to HTTP/2 with each request."""
    environment = {f"OVIRT_{name.upper()}": value for name, value in (login | {"url": origin + base}).items()}
    (tmp_path / "Plugin.java").write_text(PROGRAM)
    command = ["java", "-Dfile.encoding=UTF-8", tmp_path / "Plugin.java"]
    ran = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    if base == "/api":
        assert (told["job"]["status"], told["job"]["reason"]) == ("FAILED", "zu groß")
        assert told["job"]["description"] == "Übertragung von web-01"
    else:
        assert (told["succeeded"], told["outcome"], told["status"]) == ("false", "FAILED", "complete")
    job = ask(site, "GET", f"/api/jobs/{told['job']['id']}?follow=steps").content.decode()  # type: ignore[attr-defined]
    assert "<reason>zu groß</reason>" in job
    assert "<description>Copy disks</description>" in job


@pytest.mark.skipif(not shutil.which("javac"), reason="There is no JDK here.")
def test_what_is_refused_ends_the_program(origin: str, login: dict[str, str], tmp_path: Path) -> None:
    environment = {f"OVIRT_{name.upper()}": value for name, value in login.items()} | {"OVIRT_PASSWORD": "no"}
    (tmp_path / "Plugin.java").write_text(PROGRAM)
    ran = subprocess.run(
        ["java", tmp_path / "Plugin.java"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 1
    assert "401 {" in ran.stderr  # in JSON, as it was sent
