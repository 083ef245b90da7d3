"""How `manage.py up` starts, or says why it does not."""

import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.live import STOP_TIMEOUT, Site, own_database, running_site, start, wait_for_address
from tests.processes.eyes import descendants, eventually
from tests.processes.http import ask


def test_a_first_start_makes_a_superuser_and_shows_the_password_once(tmp_path: Path) -> None:
    nobody = {"DJANGO_SUPERUSER_USERNAME": "", "DJANGO_SUPERUSER_PASSWORD": ""}
    with own_database() as database:
        said = []
        for _ in range(2):
            with running_site(tmp_path, **database, **nobody) as site:
                said.append(site.output)
                made = re.search(r"^Superuser (\S+) made, password (\S+) \(shown only now\)$", said[0], re.M)
                assert made
                site.username, site.password = made.groups()
                assert ask(site, "GET", "/api/jobs").status == 200
        assert made[2] not in said[1]
        assert "Superuser" not in said[1]


def test_the_environment_can_name_the_superuser(tmp_path: Path) -> None:
    with running_site(
        tmp_path, DJANGO_SUPERUSER_USERNAME="ruth", DJANGO_SUPERUSER_PASSWORD="a tall order"
    ) as site:
        assert ask(site, "GET", "/api/jobs").status == 200
        assert "a tall order" not in site.output + site.log


def test_a_host_can_run_one_kind_of_process(own_site: Site) -> None:
    data = own_site.data.parent / "second"
    for kind, count in ("web", 1), ("cluster", 4):
        process = start(
            data, "--only", kind, **own_site.environment | {"TASKMONITOR_DATA": str(own_site.data)}
        )
        try:
            eventually(lambda: len(descendants(process.pid)) == count)  # noqa: B023 - it is done with at once
            if kind == "web":
                assert wait_for_address(data, process)
            process.terminate()
            assert process.wait(STOP_TIMEOUT) == 0
        finally:
            process.kill()
            process.wait()


def refused(process: subprocess.Popen[bytes], data: Path) -> str:
    """What a start that must not succeed says: one line."""
    assert process.wait(STOP_TIMEOUT + 20) == 1
    said = (data / "up.err").read_text()
    assert said.count("\n") == 1, said
    return said


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1 port {port}: Address already in use" in refused(
            start(tmp_path, PORT=str(port)), tmp_path
        )


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    assert f"The data folder {folder} cannot be made: Not a directory" in refused(
        start(tmp_path, TASKMONITOR_DATA=str(folder)), tmp_path
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "99999"),
        ("WORKERS", "many"),
        ("THREADS", "0"),
        ("TASKMONITOR_RETENTION_DAYS", "99999999999"),
        ("TASKMONITOR_CLEAR_FAILED_MINUTES", "-1"),
        ("LOG_LEVEL", "loud"),
        ("HTTPS", "maybe"),
        ("CSRF_TRUSTED_ORIGINS", "tasks.example.org"),
        ("REDIS_URL", "localhost:6379"),
        ("TASKMONITOR_HTTP_HOSTS", "https://secret"),
        ("TASKMONITOR_HTTP_PRIVATE", "perhaps"),
        ("TASKMONITOR_PROGRAMS", "sh"),
        ("TASKMONITOR_PROGRAMS", "sh=bin/sh"),
        ("TASKMONITOR_PROGRAMS", "sh=/bin/none"),
        ("DATABASE_URL", "gopher://u:secret@db/x"),
        ("DATABASE_URL", "secret"),
        ("DATABASE_URL", "postgres://u:secret@db:port/x"),
        ("DATABASE_URL", "postgres://u:secret@db"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    said = refused(start(tmp_path, **{name: value}), tmp_path)
    assert said.startswith(name)
    assert "secret" not in said


def test_an_unreachable_database_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    said = refused(start(tmp_path, DATABASE_URL=f"postgres://nobody@127.0.0.1:{port}/none"), tmp_path)
    assert "The database cannot be used" in said
    assert "refused" in said
