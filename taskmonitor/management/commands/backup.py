"""manage.py backup PATH: all that is in the database, in one file."""

import sqlite3
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from taskmonitor.backup.archive import Refused
from taskmonitor.backup.backups import back_up


class Command(BaseCommand):
    help = "Write a backup of the database to a new file, also while the site runs."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="of the file to make; it must not exist")

    def handle(self, *args: Any, path: Path, **options: Any) -> None:
        try:
            label = back_up(path.absolute())
        except FileExistsError:
            raise CommandError(f"There is a file {path} already; nothing is written over it.") from None
        except (Refused, OSError, Error, sqlite3.Error) as error:
            raise CommandError(f"No backup was made: {str(error).strip()}") from None
        self.stdout.write(f"{path}: {label}, from {connection.settings_dict['NAME']}")
