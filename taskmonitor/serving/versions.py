"""Whether this code and the database fit together: the migrations of one that the other knows."""

from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError
from django.db.migrations.recorder import MigrationRecorder

from taskmonitor.models import SiteState
from taskmonitor.version import VERSION

Migration = tuple[str, str]  # label of the app, and name


class Unfit(OperationalError):
    """Nothing may be done with the database by this code; says why, and what to do."""


@cache
def known_migrations() -> frozenset[Migration]:
    """Those of this code, by their files: to import them takes longer than all the rest of a start."""
    return frozenset(
        (app.label, file.stem)
        for app in apps.get_app_configs()
        for file in Path(app.path, "migrations").glob("[!_]*.py")
    )


def applied_migrations(connection: Any) -> frozenset[Migration]:
    return frozenset(MigrationRecorder(connection).applied_migrations())


def refuse_newer(connection: Any, **_: Any) -> None:
    """Raise Unfit on a new connection to a database that newer code has migrated (a receiver of connection_created).

    Code that does not know all of a database would write what the newer one cannot read.
    """
    if connection.alias != DEFAULT_DB_ALIAS:
        return
    unknown = applied_migrations(connection) - known_migrations()
    if unknown:
        prepared_by = _prepared_by()
        connection.close()
        raise Unfit(f"The database {newer(unknown, prepared_by)}")


def newer(unknown: frozenset[Migration], version: str) -> str:
    """What there is to say of something of that version that has migrations unknown to this code."""
    first = ".".join(min(unknown))
    return (
        f"is of Task Monitor {version or '(unknown)'}: it has the migration {first}, which this one, {VERSION}, does not"
        " know. Start the newer one, or restore a backup from before the upgrade."
    )


def refuse_unprepared(connection: Any) -> None:
    """Raise Unfit for a database that this code has still to migrate."""
    if known_migrations() - applied_migrations(connection):
        raise Unfit(f"The database is not prepared for Task Monitor {VERSION}; `manage.py up` does that.")


def _prepared_by() -> str:
    """The version that last prepared the database, if it can still be read."""
    try:
        return SiteState.objects.values_list("version", flat=True).first() or ""
    except DatabaseError:
        return ""
