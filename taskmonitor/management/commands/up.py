"""manage.py up: everything that one site needs, in the foreground."""

import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connections

from coordinator.cluster import run_cluster
from taskmonitor.serving.prepare import prepare_database
from taskmonitor.serving.server import bind, serve
from taskmonitor.serving.supervisor import Service, supervise


class Command(BaseCommand):
    help = "Prepare the database, then run the web server and the workers until SIGTERM or ctrl-C."
    requires_system_checks = []  # `make test` runs them; here they would delay the first answer

    def handle(self, *args: Any, **options: Any) -> None:
        listener = self._listen()  # kept when the web server is started again: clients only wait
        self._prepare()
        services = [Service("web server", serve, listener), Service("cluster", run_cluster)]
        sys.exit(0 if supervise(services) else 1)

    def _listen(self) -> socket.socket:
        try:
            return bind(settings.HOST, settings.PORT)
        except OSError as error:
            place = f"{settings.HOST} port {settings.PORT}"
            raise CommandError(f"Cannot listen on {place}: {error.strerror} (HOST, PORT)") from None

    def _prepare(self) -> None:
        try:
            made = prepare_database()
        except Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database cannot be used: {reason}") from None
        finally:
            connections.close_all()
        if made:
            self.stdout.write(f"Superuser {made.name} made, password {made.password} (shown only now)")
            self.stdout.flush()
