"""`manage.py backup` and `restore`: nothing is lost, and nothing is done twice."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from zipfile import ZipFile

import psycopg
import pytest

from tests.live import ROOT, Site, plug_in, running_site
from tests.processes.eyes import eventually
from tests.processes.http import add_job, ask, log_in
from tests.processes.manage import Place, new_place

ON_SQLITE = not os.environ.get("DATABASE_URL")
COUNT = "from taskmonitor.models import Job; print(Job.objects.count())"
HELD = "from taskmonitor.services.site import is_released; print(is_released())"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A prepared database with a job, that no site uses."""
    with new_place(tmp_path_factory.mktemp("source")) as place:
        place.done("migrate", "-v", "0")
        place.python(
            "from tests.factories import make_job, make_user; make_user(); make_job(description='of the source')"
        )
        yield place


@pytest.fixture(scope="module")
def backup(source: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backups") / "good"
    source.done("backup", str(path))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Place]:
    with new_place(tmp_path / "target") as place:
        yield place


def is_empty(place: Place) -> bool:
    """Whether its database has no table."""
    if ON_SQLITE:
        return not (place.data / "taskmonitor.sqlite3").exists()
    with psycopg.connect(place.environment["DATABASE_URL"]) as database:
        found = database.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
        return found.fetchone() is None


def is_untouched(place: Place) -> bool:
    """Whether its database is empty, and nothing lies about."""
    return (
        is_empty(place) and not list(place.data.glob("*sqlite3*")) and not list(place.data.glob(".restore*"))
    )


def test_what_was_answered_before_a_backup_of_a_busy_site_is_in_it(
    own_site: Site, tmp_path: Path, target: Place
) -> None:
    place = Place(own_site.data, own_site.environment)
    acknowledged, stop = [add_job(own_site)], Event()

    def inject() -> None:
        while not stop.is_set():
            acknowledged.append(add_job(own_site))

    plugin = Thread(target=inject)
    plugin.start()
    try:
        eventually(lambda: len(acknowledged) > 20)
        before = list(acknowledged)
        said = place.done("backup", str(tmp_path / "busy"))
        during = len(acknowledged) - len(before)
    finally:
        stop.set()
        plugin.join()
    assert during > 5
    assert (tmp_path / "busy").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir() if "busy" in file.name] == ["busy"]
    target.done("restore", str(tmp_path / "busy"))
    found = target.python(
        "from taskmonitor.models import Job; print(*Job.objects.values_list('pk', flat=True))"
    ).split()
    assert set(before) <= set(found)
    assert f"{len(found)} jobs" in said


def test_a_backup_is_never_written_over_a_file(source: Place, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("not a backup")
    assert (
        source.refused("backup", str(path)) == f"There is a file {path} already; nothing is written over it."
    )
    assert path.read_text() == "not a backup"
    assert list(tmp_path.iterdir()) == [path]


def test_of_no_database_there_is_no_backup(target: Place, tmp_path: Path) -> None:
    said = target.refused("backup", str(tmp_path / "nothing"))
    assert said.startswith("No backup was made: ")
    assert "TASKMONITOR_DATA" in said if ON_SQLITE else "no database of Task Monitor" in said
    assert not (tmp_path / "nothing").exists()
    assert is_untouched(target)


def test_a_backup_that_cannot_be_written_is_none(source: Place, tmp_path: Path) -> None:
    assert "No such file or directory" in source.refused("backup", str(tmp_path / "none" / "backup"))


def test_a_damaged_database_is_not_backed_up(tmp_path: Path) -> None:
    if not ON_SQLITE:
        pytest.skip("PostgreSQL's files are not ours.")
    with new_place(tmp_path / "data") as place:
        place.done("migrate", "-v", "0")
        place.python(
            "from django.db import connection; connection.cursor().execute('PRAGMA wal_checkpoint(TRUNCATE)')"
        )
        with (place.data / "taskmonitor.sqlite3").open("r+b") as file:
            file.seek(40 * 4096)
            file.write(b"\xff" * 8 * 4096)
        assert "damaged" in place.refused("backup", str(tmp_path / "backup"))
        assert not (tmp_path / "backup").exists()


def changed(path: Path, **members: object) -> None:
    """Have a backup say something else of itself."""
    with ZipFile(path) as file:
        label, dump = json.loads(file.read("backup.json")), file.read("database")
    with ZipFile(path, "w") as file:
        file.writestr("database", members.pop("dump", dump))
        file.writestr("backup.json", json.dumps({**label, **members}))


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 255
    path.write_bytes(whole)


def of_another_kind(path: Path) -> None:
    changed(path, database="postgresql" if ON_SQLITE else "sqlite")


def newer(path: Path) -> None:
    with ZipFile(path) as file:
        contents = json.loads(file.read("backup.json"))["contents"]
    contents["migrations"].append(["taskmonitor", "9999_future"])
    changed(path, version="98.7.6", contents=contents)


def with_less(path: Path) -> None:
    with ZipFile(path) as file:
        contents = json.loads(file.read("backup.json"))["contents"]
    contents["rows"]["taskmonitor_job"] += 1
    changed(path, contents=contents)


def some_zip(path: Path) -> None:
    with ZipFile(path, "w") as file:
        file.writestr("letter", "Dear Sir")


REFUSED: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.write_bytes(b""), "the file is empty"),
    (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(4080)), "no backup of Task Monitor"),
    (lambda path: path.write_text("hello"), "no backup of Task Monitor"),
    (some_zip, "no backup of Task Monitor"),
    (cut_off, "cut off or changed"),
    (flipped, "cut off or changed"),
    (lambda path: changed(path, dump=b"hello"), "" if ON_SQLITE else "archive"),
    (lambda path: changed(path, format="Tar"), "its format is not"),
    (lambda path: changed(path, contents=7), "its format is not"),
    (of_another_kind, "DATABASE_URL"),
    (with_less, "is not what it says"),
    (newer, "98.7.6"),
    (lambda path: path.unlink(), "No such file"),
]


@pytest.mark.parametrize(("spoil", "words"), REFUSED)
def test_what_is_no_good_backup_is_refused_in_one_sentence(
    backup: Path, target: Place, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / "spoilt"
    path.write_bytes(backup.read_bytes())
    spoil(path)
    said = target.refused("restore", str(path))
    assert said.startswith(f"{path} was not restored: ")
    assert words in said
    assert is_untouched(target)


def test_a_newer_backup_is_refused_with_both_versions(backup: Path, target: Place, tmp_path: Path) -> None:
    path = tmp_path / "newer"
    path.write_bytes(backup.read_bytes())
    newer(path)
    said = target.refused("restore", str(path))
    assert "98.7.6" in said
    assert version() in said
    assert "taskmonitor.9999_future" in said


def version() -> str:
    [found] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    return found


def test_an_older_backup_is_migrated_by_the_next_start(source: Place, target: Place, tmp_path: Path) -> None:
    with new_place(tmp_path / "older") as older:
        older.done("migrate", "-v", "0")
        older.python("from tests.factories import make_job, make_user; make_user(); make_job()")
        older.done("migrate", "-v", "0", "coordinator", "0002")
        older.done("backup", str(tmp_path / "backup"))
    target.done("restore", str(tmp_path / "backup"))
    with running_site(target.data, **target.environment):
        assert target.python(COUNT) == "1"
        assert (
            "0003" in target.done("showmigrations", "-p", "coordinator").partition("[X]  coordinator.0003")[1]
        )
        assert target.python(HELD) == "False"


def test_data_is_never_written_over(backup: Path, target: Place) -> None:
    target.done("migrate", "-v", "0")
    said = target.refused("restore", str(backup))
    assert "--replace" in said if ON_SQLITE else "createdb" in said
    assert target.python(COUNT) == "0"
    if not ON_SQLITE:
        assert target.refused("restore", "--replace", str(backup)) == said


@pytest.mark.parametrize("damaged", [False, True])
def test_a_database_that_is_replaced_is_kept_aside(backup: Path, target: Place, damaged: bool) -> None:
    if not ON_SQLITE:
        pytest.skip("On PostgreSQL the database of before is another one.")
    target.done("migrate", "-v", "0")
    target.python("from tests.factories import make_job, make_user; make_user(); make_job(); make_job()")
    present = target.data / "taskmonitor.sqlite3"
    if damaged:
        present.write_bytes(b"something else")
    said = target.done("restore", "--replace", str(backup))
    assert target.python(COUNT) == "1"
    [aside] = target.data.glob("taskmonitor.sqlite3.before-*")
    assert str(aside) in said
    assert present.stat().st_mode & 0o777 == 0o600
    if damaged:
        assert aside.read_bytes() == b"something else"
    else:
        aside.rename(present)
        assert target.python(COUNT) == "2"


def test_nothing_is_restored_or_held_while_the_site_runs(backup: Path, own_site: Site) -> None:
    place = Place(own_site.data, own_site.environment)
    job = add_job(own_site)
    for arguments in ["restore", str(backup)], ["restore", "--replace", str(backup)], ["hold"]:
        assert "stop" in place.refused(*arguments)
    assert ask(own_site, "GET", f"/api/jobs/{job}").status == 200
    assert place.python(HELD) == "True"


def test_a_restore_that_is_killed_leaves_nothing_or_all_of_it_held(
    backup: Path, target: Place, tmp_path: Path
) -> None:
    with new_place(tmp_path / "rehearsal") as rehearsal:
        began = time.monotonic()
        rehearsal.done("restore", str(backup))
        whole = time.monotonic() - began
    for portion in range(2, 16):
        process = subprocess.Popen(
            [sys.executable, "manage.py", "restore", str(backup)],
            cwd=ROOT,
            env=os.environ | target.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # pg_restore is killed along
        )
        time.sleep(whole * portion / 15)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not is_empty(target):
            break
    else:
        target.done("restore", str(backup))
    assert (target.python(COUNT), target.python(HELD)) == ("1", "False")


POLLED = """
from django.utils import timezone
from coordinator.executor import execute_async
execute_async("faults.Polled", {"times": 1_000_000}, now=timezone.now())
"""
STALE = """
from django.utils import timezone
from taskmonitor.models import Job
Job.objects.filter(external=True).update(stale_at=timezone.now(), heartbeat_limit=1)
"""
LOST = "from taskmonitor.models import Job; print(Job.objects.filter(status='UNKNOWN').count())"
COMMANDS = """
from coordinator.models import CommandEntity
print(*CommandEntity.objects.values_list("status", flat=True))
"""


def test_a_restored_site_carries_nothing_on_until_it_is_released(tmp_path: Path, target: Place) -> None:
    effects, restored_effects = tmp_path / "effects", tmp_path / "restored-effects"
    python_path = plug_in(tmp_path / "plug-in", "tests.faults.commands")
    with running_site(tmp_path / "data", PYTHONPATH=python_path, FAULTS_EFFECTS=str(effects)) as site:
        site.manage("shell", "-c", POLLED)
        add_job(site)
        eventually(lambda: effects.exists() and effects.read_text().count('"poll"') > 1)
        site.manage("backup", str(tmp_path / "backup"))
    assert "resume --all" in target.done("restore", str(tmp_path / "backup"))
    target.python(STALE)
    environment = {**target.environment, "PYTHONPATH": python_path, "FAULTS_EFFECTS": str(restored_effects)}
    with running_site(target.data, **environment) as restored:
        eventually(lambda: "This database was restored or copied" in restored.log)
        assert "This database was restored or copied" in restored.output
        time.sleep(3)  # longer than until the next poll, and than the job's heartbeat limit
        assert not restored_effects.exists()
        page = ask(restored, "GET", "/commands/", b"", log_in(restored)).content.decode()  # type: ignore[attr-defined]
        assert "manage.py resume --all" in page
        assert target.python(COMMANDS) == "ACTIVE"
        assert target.python(LOST) == "0"
        assert "Released" in target.done("resume", "--all")
        eventually(lambda: restored_effects.exists() and '"poll"' in restored_effects.read_text())
        page = ask(restored, "GET", "/commands/", b"", log_in(restored)).content.decode()  # type: ignore[attr-defined]
        assert "manage.py resume --all" not in page
        eventually(lambda: target.python(LOST) == "1")
        assert '"execute"' not in restored_effects.read_text()


def test_a_database_that_was_copied_by_hand_can_be_held(source: Place) -> None:
    assert source.python(HELD) == "True"
    assert "Held" in source.done("hold")
    assert source.python(HELD) == "False"
    assert "already" in source.done("hold")
    assert "Released" in source.done("resume", "--all")
    assert "Nothing" in source.done("resume", "--all")
    audited = (
        "from taskmonitor.models import AuditEntry; print(*AuditEntry.objects.values_list('verb', flat=True))"
    )
    assert source.python(audited) == "held released"


@pytest.mark.skipif(ON_SQLITE, reason="SQLite needs no programs.")
def test_nobody_sees_the_password_of_postgresql_in_the_list_of_processes(
    source: Place, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    for name in "pg_dump", "pg_restore":
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "$0 $*" >>{seen}\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o700)
    url = source.environment["DATABASE_URL"].replace("postgres@", "postgres:open-sesame@")
    with_programs = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DATABASE_URL": url}
    done = source.run("backup", str(tmp_path / "backup"), **with_programs)
    assert done.returncode == 0, done.stderr
    assert "pg_dump" in seen.read_text()
    assert "open-sesame" not in seen.read_text()


@pytest.mark.skipif(ON_SQLITE, reason="SQLite needs no programs.")
def test_that_programs_of_postgresql_are_missing_is_said(
    source: Place, backup: Path, target: Place, tmp_path: Path
) -> None:
    assert "pg_dump is not installed" in source.refused("backup", str(tmp_path / "backup"), PATH="/nowhere")
    assert "pg_restore is not installed" in target.refused("restore", str(backup), PATH="/nowhere")
