"""How `manage.py up` starts, or says why it does not."""

import ast
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from tests.live import ROOT, STOP_TIMEOUT, Site, own_database, running_site, start, wait_for_address
from tests.processes.eyes import descendants, eventually
from tests.processes.http import add_job, ask
from tests.processes.manage import new_place


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
                assert led_to(site) == "/account/password/"
        assert made[2] not in said[1]
        assert "Superuser" not in said[1]


def led_to(site: Site) -> str:
    """Where a browser ends that logs in and asks for the jobs."""
    browser = build_opener(HTTPCookieProcessor())
    form = browser.open(f"{site.url}/login/?next=/jobs/").read().decode()
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    fields = {"csrfmiddlewaretoken": token, "username": site.username, "password": site.password}
    browser.open(f"{site.url}/login/", urlencode(fields).encode()).close()
    return urlsplit(browser.open(f"{site.url}/jobs/").url).path


@pytest.mark.parametrize("password", ["x", "password", "administrator1"])
def test_an_easy_password_is_refused_for_the_superuser(tmp_path: Path, password: str) -> None:
    environment = {"DJANGO_SUPERUSER_USERNAME": "administrator", "DJANGO_SUPERUSER_PASSWORD": password}
    with own_database() as database:
        said = refused(start(tmp_path, **database, **environment), tmp_path)
    assert said.startswith("CommandError: DJANGO_SUPERUSER_PASSWORD: ")
    assert "password is too" in said


def test_the_environment_can_name_the_superuser(tmp_path: Path) -> None:
    with running_site(
        tmp_path, DJANGO_SUPERUSER_USERNAME="ruth", DJANGO_SUPERUSER_PASSWORD="a tall order"
    ) as site:
        assert ask(site, "GET", "/api/jobs").status == 200
        assert led_to(site) == "/jobs/"
        assert "a tall order" not in site.output + site.log


def test_a_host_can_run_one_kind_of_process(own_site: Site) -> None:
    data = own_site.data.parent / "second"
    for kind, count in ("web", 1), ("cluster", 7):
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
        ("TASKMONITOR_HSTS", "everything"),
        ("TASKMONITOR_SESSION_HOURS", "0"),
        ("TASKMONITOR_SESSION_IDLE_MINUTES", "1"),
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
        ("SECRET_KEY", "secret"),
        ("SECRET_KEY", "se" * 40),
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


def test_first_starts_on_one_folder_take_turns(tmp_path: Path) -> None:
    with own_database() as database:
        processes = [
            start(tmp_path / name, **database, TASKMONITOR_DATA=str(tmp_path / "data")) for name in "abc"
        ]
        try:
            for name, process in zip("abc", processes, strict=True):
                assert wait_for_address(tmp_path / name, process)
        finally:
            for process in processes:
                process.terminate()
            ends = [process.wait(STOP_TIMEOUT + 5) for process in processes]
    assert ends == [0, 0, 0]
    assert sum("Superuser" in (tmp_path / name / "up.out").read_text() for name in "abc") == 1


def test_nobody_else_can_read_what_is_stored(tmp_path: Path) -> None:
    if os.environ.get("DATABASE_URL"):
        pytest.skip("PostgreSQL keeps its files itself.")
    stored = {"taskmonitor.sqlite3", "taskmonitor.sqlite3-wal", "taskmonitor.sqlite3-shm", "secret_key"}
    for _ in range(2):
        with running_site(tmp_path / "data") as site:
            add_job(site)
            modes = {file.name: file.stat().st_mode & 0o777 for file in site.data.iterdir()}
            assert {modes.get(name) for name in stored} == {0o600}
        (tmp_path / "data" / "taskmonitor.sqlite3").chmod(0o644)  # as older versions made it


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda key: key.write_text(""), "is empty or cut off"),
        (lambda key: key.write_text("x" * 49), "is empty or cut off"),
        (lambda key: key.write_bytes(b"\xff" * 50), "cannot be read"),
        (lambda key: (key.unlink(), key.mkdir()), "cannot be read"),
        (lambda key: key.chmod(0o644), "is open to every user"),
        (lambda key: os.chown(key, 12345, -1), "belongs to another user"),
    ],
    ids=["empty", "short", "no text", "a folder", "readable", "foreign"],
)
def test_a_secret_key_that_cannot_be_right_ends_the_start(
    tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    with new_place(tmp_path) as place:
        place.done("check")
        key = tmp_path / "secret_key"
        assert key.stat().st_mode & 0o777 == 0o600
        try:
            spoil(key)
        except PermissionError:
            pytest.skip("Only root can give a file away.")
        said = refused(start(tmp_path, **place.environment), tmp_path)
        assert said.startswith(f"The secret key {key} {words}")
        assert "delete it" in said


def test_a_start_that_is_killed_leaves_no_empty_key(tmp_path: Path) -> None:
    """It is killed at each of the first calls of the system that have to do with the key."""
    program = (
        "import os, sys; from pathlib import Path; import taskmonitor.secret_key as keys\n"
        "left = int(sys.argv[1])\n"
        "def watch(event, given):\n"
        "    global left\n"
        "    left -= event in ('open', 'os.mkdir', 'os.chmod', 'os.link', 'os.remove', 'os.rmdir')\n"
        "    if left < 0: os._exit(9)\n"
        "sys.addaudithook(watch)\n"
        "keys.kept_key(Path(sys.argv[2]))\n"
    )
    key = tmp_path / "secret_key"
    died = 0
    for steps in range(100):
        ended = subprocess.run([sys.executable, "-c", program, str(steps), str(key)], cwd=ROOT).returncode
        died += ended == 9
        if key.exists():
            assert len(key.read_text()) == 50
            assert key.stat().st_mode & 0o777 == 0o600
        if not ended:
            break
        key.unlink(missing_ok=True)
    assert died > 3


ORDINARY = "from django.contrib.auth.models import User; User.objects.create_user('ruth', password='p')"


def test_a_first_superuser_whose_name_is_taken_is_named(tmp_path: Path) -> None:
    with new_place(tmp_path) as place:
        place.done("migrate", "-v", "0")
        place.python(ORDINARY)
        named = {**place.environment, "DJANGO_SUPERUSER_USERNAME": "ruth"}
        said = refused(start(tmp_path, **named), tmp_path)
        assert "ruth" in said
        assert "Set DJANGO_SUPERUSER_USERNAME to another name" in said
        asked = ("createsuperuser", "--noinput", "--username", "ruth", "--email", "ruth@example.org")
        assert "already taken" in place.refused(*asked)
        with running_site(tmp_path, **{**named, "DJANGO_SUPERUSER_USERNAME": "ruth2"}) as site:
            assert ask(site, "GET", "/api/jobs").status == 200


TLS = {"sslmode": "verify-full", "sslrootcert": "/ca.pem", "sslcert": "/a.pem", "sslkey": "/a.key"}


@pytest.mark.parametrize(
    ("place", "options"), [("tasks@db.example.org", TLS), ("", {"host": "/run/postgresql"})]
)
def test_the_address_of_the_database_may_name_certificates_or_a_socket_in_place_of_a_password(
    tmp_path: Path, place: str, options: dict[str, str]
) -> None:
    url = f"postgres://{place}/tasks?{urlencode(options)}"
    printed = subprocess.run(
        [sys.executable, "-c", "from taskmonitor.settings import DATABASES as d; print(d['default'])"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url, "TASKMONITOR_DATA": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    database = ast.literal_eval(printed)
    assert (database["NAME"], database["PASSWORD"]) == ("tasks", "")
    assert options.items() <= database["OPTIONS"].items()
