"""A plug-in in Java, on the JDK's own HttpClient, where there is a JDK."""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live import Site
from tests.processes.http import ask

PROGRAM = Path(__file__).with_name("Plugin.java")


@pytest.mark.skipif(not shutil.which("javac"), reason="There is no JDK here.")
@pytest.mark.parametrize("base", ["/api", "/ovirt-engine/api"])
def test_javas_own_client_reports_its_work(site: Site, origin: str, login: dict[str, str], base: str) -> None:
    environment = {f"OVIRT_{name.upper()}": value for name, value in login.items()}
    ran = subprocess.run(
        ["java", "-Dfile.encoding=UTF-8", PROGRAM, origin + base],
        env=os.environ | environment,
        capture_output=True,
        timeout=120,
        check=True,
        text=True,
    )
    statuses, job = ran.stdout.split("\n")[:2]
    assert statuses == "201 201 200"
    told = ask(site, "GET", urlsplit(job).path).content.decode()  # type: ignore[attr-defined]
    assert "Java: übertragen" in told
    assert "zu groß" in told
