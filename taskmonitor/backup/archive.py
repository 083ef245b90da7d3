"""The file of a backup: a ZIP of the database, and of what it is.

    backup.json   the database's kind, version, migrations, and rows of each table
    database      SQLite's file, or what pg_dump wrote in its custom format

A ZIP ends with its list of members, and each has a checksum: one that was cut off or changed is known as such.
"""

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

FORMAT = "Task Monitor backup 1"
OURS = {"auth_user", "command_entities", "django_migrations", "taskmonitor_job", "taskmonitor_sitestate"}


class Refused(Exception):
    """Nothing was backed up, or restored; says why."""


@dataclass(frozen=True)
class Contents:
    """The tables with their numbers of rows, and the applied migrations, as read from a dumped database."""

    rows: dict[str, int]  # of each table
    migrations: frozenset[tuple[str, str]]  # label of the app, and name

    def __post_init__(self) -> None:
        if missing := OURS - self.rows.keys():
            raise Refused(
                f"it is no database of Task Monitor, or one that was never prepared by this version: it has no {min(missing)}"
            )


@dataclass(frozen=True)
class Label:
    """What a backup says of itself."""

    database: str  # sqlite or postgresql
    version: str  # the Task Monitor that last prepared it
    contents: Contents

    def __str__(self) -> str:
        rows = self.contents.rows
        counts = (
            f"{rows['taskmonitor_job']} jobs, {rows['command_entities']} commands, {rows['auth_user']} users"
        )
        return f"{counts}, of Task Monitor {self.version}"


def write(place: Path, dump: Path, label: Label) -> None:
    """Write the backup, and see that it can be read."""
    with ZipFile(place, "w", ZIP_DEFLATED, compresslevel=1) as file:
        file.write(dump, "database")
        file.writestr("backup.json", _told(label))
    with ZipFile(place) as file:
        if file.testzip() is not None or _understood(file.read("backup.json")) != label:
            raise Refused("what was written cannot be read again")


def read(path: Path) -> Label:
    """What the file is; Refused if it is no backup."""
    with _opened(path) as file:
        return _understood(file.read("backup.json"))


def extract(path: Path, into: Path) -> None:
    """Copy the dumped database out of the backup; Refused if it is damaged."""
    with _opened(path) as file, file.open("database") as packed, into.open("wb") as dump:
        shutil.copyfileobj(packed, dump, 2**20)


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    if not path.stat().st_size:
        raise Refused("the file is empty")
    try:
        with ZipFile(path) as file:
            yield file
    except (BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError, zlib.error):
        raise Refused("it is no backup of Task Monitor, or one that was cut off or changed") from None


def _told(label: Label) -> str:
    contents = {"rows": label.contents.rows, "migrations": sorted(label.contents.migrations)}
    return json.dumps({"format": FORMAT, **asdict(label), "contents": contents}, indent=1)


def _understood(text: bytes) -> Label:
    try:
        told: dict[str, Any] = json.loads(text)
        ours = told["format"] == FORMAT
        migrations = frozenset((app, name) for app, name in told["contents"]["migrations"])
        label = Label(told["database"], told["version"], Contents(told["contents"]["rows"], migrations))
    except (ValueError, KeyError, TypeError, AttributeError):
        ours = False
    if not ours:
        raise Refused(f"its format is not “{FORMAT}”, the one that is known here")
    return label
