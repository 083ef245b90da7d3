"""manage.py upkeep: one pass by hand."""

from argparse import ArgumentParser
from math import inf
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from coordinator import cleanup
from taskmonitor import upkeep
from taskmonitor.services.portions import Portions


class Command(BaseCommand):
    help = "Call stale jobs UNKNOWN, clear and delete old ones, remove old commands; the workers do this each minute."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        now = timezone.now()
        if dry_run:
            report, removed = upkeep.planned(now), cleanup.planned(now)
        else:
            portions = Portions(inf)
            report, removed = upkeep.tick(now, portions), cleanup.tick(now, portions)
        for verb, ids in (
            ("lost", report.lost),
            ("cleared", report.cleared),
            ("deleted", report.deleted),
            ("removed (commands)", removed),
        ):
            self.stdout.write(f"{'would be ' if dry_run else ''}{verb}: {len(ids)}")
            for key in ids:
                self.stdout.write(f"  {key}")
