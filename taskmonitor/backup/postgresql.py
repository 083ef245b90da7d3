"""PostgreSQL's part of a backup: its own programs, pg_dump and pg_restore."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile

from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from taskmonitor.backup.archive import Contents, Refused
from taskmonitor.models import SiteState

_TABLE = re.compile(rb'CREATE TABLE [\w"]+\.(\w+) \(\n')
_COPY = re.compile(rb'COPY [\w"]+\.(\w+) \((.*)\) FROM stdin;\n')
_END = b"\\.\n"


def dump(into: Path) -> None:
    """Dump the database as it is at one moment, but for the row that says that its workers may work."""
    without = f"--exclude-table-data=*.{SiteState._meta.db_table}"
    _run("pg_dump", "--format=custom", "--compress=0", without, f"--file={into}", f"--dbname={_address()}")


def contents(dump: Path) -> Contents:
    """What is in the dump, which is read to its end; Refused if it is damaged."""
    with _output("pg_restore", "--file=-", str(dump)) as script:
        rows, migrations = _found(script)
    return Contents(rows, frozenset(migrations))


def is_empty() -> bool:
    """Whether there is no table."""
    return not connection.introspection.table_names()


def load(dump: Path, *, version: str) -> None:
    """Restore the dump into the empty database, all at once or not at all."""
    plainly = ("--no-owner", "--no-privileges", "--no-comments")
    at_once = ("--single-transaction", "--exit-on-error")
    _run("pg_restore", *at_once, *plainly, f"--dbname={_address()}", str(dump))
    SiteState.objects.create(version=version)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # for some minutes its plans would be those of empty tables


def _found(script: Iterable[bytes]) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """The number of each table's rows, and the migrations, in the script that pg_restore makes of a dump: a table's rows follow COPY, up to a dot."""
    lines, migrations = iter(script), set()
    rows: dict[str, int] = {}
    for line in lines:
        if created := _TABLE.fullmatch(line):
            rows[created[1].decode()] = 0
        if not (copy := _COPY.fullmatch(line)):
            continue
        table, names = copy[1].decode(), copy[2].decode().split(", ")
        values = takewhile(lambda value: value != _END, lines)
        if table == "django_migrations":
            found = [dict(zip(names, value.decode().split("\t"), strict=True)) for value in values]
            migrations = {(one["app"], one["name"]) for one in found}
            rows[table] = len(found)
        else:
            rows[table] = sum(1 for _ in values)
    return rows, migrations


def _address() -> str:
    """How programs find the database. The password is not in it, for everybody sees how programs were called."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - {"password"}
    given = connection.get_connection_params()
    return make_conninfo(**{name: given[name] for name in known & given.keys()})


def _run(*command: str) -> None:
    with _output(*command) as output:
        for _ in output:
            pass


@contextmanager
def _output(program: str, *arguments: str) -> Iterator[Iterable[bytes]]:
    """What the program writes; Refused if it is not there, or in the end says that it failed."""
    path = shutil.which(program)
    if path is None:
        raise Refused(f"{program} is not installed here; it comes with PostgreSQL's client programs")
    secret = (
        {"PGPASSWORD": connection.settings_dict["PASSWORD"]} if connection.settings_dict["PASSWORD"] else {}
    )
    with TemporaryFile() as errors:
        with subprocess.Popen(  # noqa: S603 - PostgreSQL's own
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | secret,
        ) as running:
            yield running.stdout or ()
        if running.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().partition("\n")[0]
            raise Refused(said or f"{program} ended with {running.returncode}")
