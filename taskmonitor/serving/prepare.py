"""What must be true of the database before anything is served from it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

PREPARING = 0x7A5D  # the advisory lock of whoever prepares the database


@dataclass(frozen=True)
class Superuser:
    """The account just made, and its password if nobody else knows it."""

    name: str
    password: str


def prepare_database() -> Superuser | None:
    """Bring the schema up to date and make the first superuser; the answer is one with a made-up password."""
    with _alone():
        if not _migrations_on_disk() <= set(MigrationRecorder(connection).applied_migrations()):
            call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)  # if the cache is in the database, and is not there yet
        if not User.objects.filter(is_superuser=True).exists():
            return _make_superuser()
    return None


@contextmanager
def _alone() -> Iterator[None]:
    """Hosts that start together on one PostgreSQL server take turns; SQLite's writers do that anyway."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [PREPARING])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [PREPARING])


def _migrations_on_disk() -> set[tuple[str, str]]:
    """Label and name of each, by their files: to import them takes longer than all the rest of a start."""
    return {
        (app.label, file.stem)
        for app in apps.get_app_configs()
        for file in Path(app.path, "migrations").glob("[!_]*.py")
    }


def _make_superuser() -> Superuser | None:
    name = os.environ.get("DJANGO_SUPERUSER_USERNAME") or "admin"
    given = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
    password = given or secrets.token_urlsafe(12)
    User.objects.create_superuser(name, password=password)
    return None if given else Superuser(name, password)
