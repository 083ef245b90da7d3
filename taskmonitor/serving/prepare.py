"""What must be true of the database before anything is served from it."""

import logging
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import Error, connection
from django.utils import timezone

from taskmonitor.services.accounts import check_new_password, require_password_change
from taskmonitor.services.site import note_version
from taskmonitor.services.transaction import writing
from taskmonitor.serving.turns import alone, note_running
from taskmonitor.serving.versions import Unfit, applied_migrations, known_migrations, refuse_unprepared

logger = logging.getLogger(__name__)

_prepared = False  # by this process, or the one that it was forked from


class NameTaken(Exception):
    """The first superuser cannot be made; says what to do."""


@dataclass(frozen=True)
class Superuser:
    """The account just made, and its password if nobody else knows it."""

    name: str
    password: str


def prepare_database() -> Superuser | None:
    """Bring the schema up to date and make the first superuser; the answer is one with a made-up password.

    From here on until its end this process counts as one of a running site.

    Unfit for a database of a newer version, NameTaken if an ordinary user has the superuser's name,
    Invalid if the password that the environment gives it is easily guessed.
    """
    global _prepared
    with alone():
        if connection.vendor == "sqlite":
            _make_private(Path(connection.settings_dict["NAME"]))
        if known_migrations() - applied_migrations(connection):
            call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)  # if the cache is in the database, and is not there yet
        note_version()
        note_running()
        _prepared = True
        if not User.objects.filter(is_superuser=True).exists():
            return _make_superuser()
    return None


def join_site() -> None:
    """What a web server does first: Unfit if the database is not this version's. Under `up` all is done already.

    If the database does not answer it serves all the same, and says so to each request.
    """
    if _prepared:
        return
    try:
        with alone():
            refuse_unprepared(connection)
            note_running()
    except Unfit:
        raise
    except Error as error:
        logger.warning("The database cannot be asked whether it is prepared: %s", str(error).strip())
    finally:
        connection.close()


def _make_private(database: Path) -> None:
    """Let nobody else read SQLite's file; those that it makes beside it get the same mode."""
    database.touch(mode=0o600)
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{database}{end}").chmod(0o600)


def _make_superuser() -> Superuser | None:
    name = os.environ.get("DJANGO_SUPERUSER_USERNAME") or "admin"
    given = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
    password = given or secrets.token_urlsafe(12)
    if User.objects.filter(username=name).exists():
        raise NameTaken(
            f"There is no superuser, and the name of the one to be made, {name}, is an ordinary user's."
            f" Set DJANGO_SUPERUSER_USERNAME to another name; who has that can make {name} one, in Administration."
        )
    if given:
        check_new_password("DJANGO_SUPERUSER_PASSWORD", given, User(username=name))
    with writing():
        user = User.objects.create_superuser(name, password=password)
        if not given:
            require_password_change(user, timezone.now())
    return None if given else Superuser(name, password)
