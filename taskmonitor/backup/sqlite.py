"""SQLite's part of a backup: a copy of its file."""

import os
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from taskmonitor.backup.archive import Contents, Refused
from taskmonitor.files import to_disk

TABLES = """
    SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%'
"""
REMOVE_SITE = "DELETE FROM taskmonitor_sitestate"


def dump(database: Path, into: Path) -> None:
    """Copy the database as it is at one moment, but for the row that says that its workers may work.

    In WAL mode a reader holds nobody up, so it is read in one go: to read it by portions, SQLite would begin
    anew after each write of somebody else's.
    """
    if is_empty(database):
        raise Refused(f"there is no database at {database} (TASKMONITOR_DATA)")
    with closing(_open(database)) as source, closing(sqlite3.connect(into)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # all of it is in one file
        with copy:
            copy.execute(REMOVE_SITE)


def contents(dump: Path) -> Contents:
    """What is in the copy; Refused if it is damaged."""
    try:
        with closing(_open(dump)) as copy:
            [[verdict], *_] = copy.execute("PRAGMA integrity_check").fetchall()
            if verdict != "ok":
                raise Refused(f"the database in it is damaged: {verdict}")
            tables = [name for (name,) in copy.execute(TABLES)]
            rows = {name: copy.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608
            migrations = copy.execute("SELECT app, name FROM django_migrations").fetchall()
    except sqlite3.DatabaseError as error:
        raise Refused(f"the database in it is damaged: {error}") from None
    return Contents(rows, frozenset(migrations))


def is_empty(database: Path) -> bool:
    """Whether there is no table; what cannot be read is not empty."""
    if not database.exists() or not database.stat().st_size:
        return True
    try:
        with closing(_open(database)) as present:
            return present.execute("SELECT 1 FROM sqlite_schema").fetchone() is None
    except sqlite3.Error:
        return False


def load(dump: Path, database: Path, *, version: str, now: datetime) -> Path | None:
    """Put the dump, which lies in a folder beside it, in the place of the database at once; where that is now.

    The database keeps its name until the dump has it.
    """
    with closing(sqlite3.connect(dump)) as copy, copy:
        copy.execute(REMOVE_SITE)
        copy.execute("INSERT INTO taskmonitor_sitestate (id, version) VALUES (1, ?)", [version])
    dump.chmod(0o600)
    to_disk(dump)
    aside = None if is_empty(database) else _set_aside(database, now)
    for end in ("-wal", "-shm"):
        Path(f"{database}{end}").unlink(
            missing_ok=True
        )  # of an empty database; SQLite would take it for the new one's
    os.replace(dump, database)
    to_disk(database.parent)
    return aside


def _set_aside(database: Path, now: datetime) -> Path:
    """Give the database one more name, which it keeps; all of it, also what has not come to its file yet."""
    aside = Path(f"{database}.before-{now:%Y%m%d-%H%M%S}")
    with (
        suppress(sqlite3.Error),
        closing(_open(database)) as present,
    ):  # it may be damaged: that is why it is replaced
        present.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for end in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.rename(f"{database}{end}", f"{aside}{end}")
    aside.hardlink_to(database)
    return aside


def _open(database: Path) -> sqlite3.Connection:
    """A connection to a database that there is; any other would be made."""
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True)
