"""Which version it is, and that an older one leaves a newer one's database alone."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import ROOT, STOP_TIMEOUT, Site, start
from tests.processes.http import ask, log_in
from tests.processes.manage import Place, new_place

VERSION = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)[0]
UPGRADE = """
from django.db.migrations.recorder import MigrationRecorder
from django.db import connection
from taskmonitor.models import SiteState
SiteState.objects.update_or_create(pk=1, defaults={"version": "98.7.6"})
MigrationRecorder(connection).record_applied("taskmonitor", "9999_future")
"""


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A database as a newer version leaves it."""
    with new_place(tmp_path_factory.mktemp("newer")) as place:
        place.done("migrate", "-v", "0")
        place.python(UPGRADE)
        yield place


def is_refusal(said: str) -> bool:
    return said.count("\n") <= 1 and all(
        one in said for one in ("98.7.6", VERSION, "taskmonitor.9999_future")
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["upkeep"],
        ["migrate"],
        ["createsuperuser", "--noinput", "--username", "ruth", "--email", ""],
        ["changepassword", "ruth"],
        ["resume", "--all"],
        ["hold"],
        ["shell", "-c", "from taskmonitor.models import Job; Job.objects.all().delete()"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_of_an_older_version_touches_the_database(newer: Place, arguments: list[str]) -> None:
    assert is_refusal(newer.refused(*arguments))


@pytest.mark.parametrize("only", [[], ["--only", "web"], ["--only", "cluster"]], ids=str)
def test_a_site_of_an_older_version_does_not_start(newer: Place, only: list[str]) -> None:
    process = start(newer.data, *only, **newer.environment)
    assert process.wait(STOP_TIMEOUT + 20) == 1
    assert is_refusal((newer.data / "up.err").read_text())
    assert "Superuser" not in (newer.data / "up.out").read_text()


def uvicorn(place: Place) -> subprocess.CompletedProcess[str]:
    """What becomes of the web server that is started by itself."""
    return subprocess.run(
        [sys.executable, "-m", "uvicorn", "--port", "0", "taskmonitor.asgi:application"],
        cwd=ROOT,
        env=os.environ | place.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_web_server_by_itself_does_not_start_on_a_newer_database(newer: Place) -> None:
    done = uvicorn(newer)
    assert done.returncode != 0
    assert any(is_refusal(line) for line in done.stderr.splitlines())


def test_a_web_server_by_itself_does_not_start_on_a_database_that_is_not_prepared(tmp_path: Path) -> None:
    with new_place(tmp_path) as place:
        done = uvicorn(place)
    assert done.returncode != 0
    assert f"The database is not prepared for Task Monitor {VERSION}" in done.stderr


def test_the_version_is_in_the_log_and_on_pages_and_in_the_api(site: Site) -> None:
    assert f" Task Monitor {VERSION} starts" in site.log
    cookie = log_in(site)
    for path in "/jobs/", "/commands/", "/tokens/":
        page = ask(site, "GET", path, b"", cookie)
        assert f"Task Monitor {VERSION}</footer>" in page.content.decode()  # type: ignore[attr-defined]
    root = ask(site, "GET", "/api/", b"", "Accept: application/json")
    told = json.loads(root.content)["product_info"]  # type: ignore[attr-defined]
    assert told["release"] == VERSION
    assert told["version"]["full_version"] == "4.5.0.0"
    engine = ask(site, "GET", "/ovirt-engine/api/", b"", "Accept: application/json", "Version: 4")
    assert "release" not in json.loads(engine.content)["product_info"]  # type: ignore[attr-defined]
    described = ask(site, "GET", "/api/openapi.json")
    assert json.loads(described.content)["info"]["version"] == VERSION  # type: ignore[attr-defined]
    assert VERSION not in ask(site, "GET", "/nowhere").content.decode()  # type: ignore[attr-defined]


def test_the_database_remembers_the_version_that_prepared_it(site: Site) -> None:
    remembered = "from taskmonitor.models import SiteState; print(SiteState.objects.get().version)"
    assert site.manage("shell", "-v", "0", "-c", remembered).strip() == VERSION
