"""manage.py hold: the workers of a database that was copied by other means than `restore` wait, too."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from taskmonitor.models import SYSTEM
from taskmonitor.services.site import hold
from taskmonitor.serving.turns import Running, alone, refuse_while_running
from taskmonitor.serving.versions import refuse_unprepared


class Command(BaseCommand):
    help = "Have the workers wait for `resume --all` when the site starts: for a database that was copied by hand."

    def handle(self, *args: Any, **options: Any) -> None:
        with alone():
            refuse_unprepared(connection)
            try:
                refuse_while_running()
            except Running as error:
                raise CommandError(f"Nothing was held: {error}") from None
            held = hold(actor=SYSTEM, now=timezone.now())
        self.stdout.write("Held: the workers will wait." if held else "It is held already.")
