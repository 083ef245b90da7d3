"""Backups of the database: taken while the site runs, brought back while it does not."""

import shutil
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db import connection

from taskmonitor.backup import archive, postgresql, sqlite
from taskmonitor.backup.archive import Contents, Label, Refused
from taskmonitor.files import new_file
from taskmonitor.models import SiteState
from taskmonitor.serving.turns import alone, refuse_while_running
from taskmonitor.serving.versions import known_migrations, newer

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
WORK = ".restore."  # begins the name of the folder that a restore works in


def back_up(path: Path) -> Label:
    """Write a new file with all that is in the database; what that is. Refused if it cannot be done."""
    with new_file(path) as place:
        dumped = place.with_name("dumped")
        if _is_sqlite():
            sqlite.dump(_file(), dumped)
        else:
            postgresql.dump(dumped)
        contents = _contents(dumped)
        version = SiteState.objects.values_list("version", flat=True).first() or ""
        label = Label(connection.vendor, version, contents)
        archive.write(place, dumped, label)
    return label


def restore(path: Path, *, replace: bool, now: datetime) -> tuple[Label, Path | None]:
    """Bring back a backup, as a database whose workers wait; what it is, and where the one before it is now.

    Refused for a file that is no backup, that is of the other kind of database or of a newer version; and if the
    database is not empty, unless `replace` is given and it is SQLite's. Running if a site uses it.
    """
    label = archive.read(path)
    if label.database != connection.vendor:
        kinds = f"{NAMES[label.database]}, and the site has {NAMES[connection.vendor]} (DATABASE_URL)"
        raise Refused(f"it is a backup of {kinds}")
    if unknown := label.contents.migrations - known_migrations():
        raise Refused(f"it {newer(unknown, label.version)}")
    with alone():
        refuse_while_running()
        _refuse_unless_empty(replace)
        folder = _file().parent if _is_sqlite() else settings.DATA
        for left in folder.glob(f"{WORK}*"):
            shutil.rmtree(left)  # by one that was killed
        with TemporaryDirectory(dir=folder, prefix=WORK) as work:
            dumped = Path(work, "dumped")
            archive.extract(path, dumped)
            if _contents(dumped) != label.contents:
                raise Refused("what is in it is not what it says")
            if _is_sqlite():
                return label, sqlite.load(dumped, _file(), version=label.version, now=now)
            postgresql.load(dumped, version=label.version)
            return label, None


def _refuse_unless_empty(replace: bool) -> None:
    if _is_sqlite():
        if not (replace or sqlite.is_empty(_file())):
            raise Refused(f"{_file()} has data; --replace keeps it aside under another name")
    elif not postgresql.is_empty():
        raise Refused("the database has data; make another one (createdb) and name it in DATABASE_URL")


def _contents(dumped: Path) -> Contents:
    return sqlite.contents(dumped) if _is_sqlite() else postgresql.contents(dumped)


def _is_sqlite() -> bool:
    return connection.vendor == "sqlite"


def _file() -> Path:
    """SQLite's file, where it really is."""
    return Path(connection.settings_dict["NAME"]).resolve()
