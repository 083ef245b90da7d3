"""manage.py resume --all: the workers of a restored database may go on."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from taskmonitor.models import SYSTEM
from taskmonitor.services.site import release


class Command(BaseCommand):
    help = (
        "After a restore: let the workers carry on the commands that were active when the backup was taken."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", required=True, help="all commands, jobs and upkeep")

    def handle(self, *args: Any, **options: Any) -> None:
        released = release(actor=SYSTEM, now=timezone.now())
        self.stdout.write("Released: the workers go on." if released else "Nothing was held back.")
