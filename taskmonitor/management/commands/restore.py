"""manage.py restore PATH: what a backup has, in an empty database."""

import sqlite3
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection
from django.utils import timezone

from taskmonitor.backup.archive import Refused
from taskmonitor.backup.backups import restore
from taskmonitor.serving.turns import Running


class Command(BaseCommand):
    help = "Bring a backup back while the site is stopped. The workers then wait for `resume --all`."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="of the file that `backup` made")
        parser.add_argument(
            "--replace", action="store_true", help="keep SQLite's present database aside, under another name"
        )

    def handle(self, *args: Any, path: Path, replace: bool, **options: Any) -> None:
        try:
            label, aside = restore(path.absolute(), replace=replace, now=timezone.now())
        except (Refused, Running, OSError, Error, sqlite3.Error) as error:
            raise CommandError(f"{path} was not restored: {str(error).strip()}") from None
        self.stdout.write(f"{connection.settings_dict['NAME']}: {label}")
        if aside:
            self.stdout.write(f"What was there before is {aside}")
        self.stdout.write("Start the site. Its workers do nothing until you say: manage.py resume --all")
