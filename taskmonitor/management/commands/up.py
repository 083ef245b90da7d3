"""manage.py up: everything that one site needs, in the foreground."""

import logging
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection, connections

from coordinator.engine.cluster import run_cluster
from taskmonitor.errors import Invalid
from taskmonitor.services.site import HELD, is_released
from taskmonitor.serving.prepare import NameTaken, prepare_database
from taskmonitor.serving.server import bind, serve
from taskmonitor.serving.supervisor import Service, supervise
from taskmonitor.serving.versions import Unfit
from taskmonitor.version import VERSION

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Prepare the database, then run the web server and the workers until SIGTERM or ctrl-C."
    requires_system_checks = []  # `make test` runs them; here they would delay the first answer

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", choices=["web", "cluster"], help="on a host that runs one of them")

    def handle(self, *args: Any, only: str | None, **options: Any) -> None:
        services = []
        if only != "cluster":
            # The socket is open before and between web servers: clients wait, and are not refused.
            services.append(Service("web server", serve, self._listen()))
        if only != "web":
            services.append(Service("cluster", run_cluster))
        self._prepare()
        logger.info("Task Monitor %s starts, on %s", VERSION, connection.vendor)
        sys.exit(0 if supervise(services) else 1)

    def _listen(self) -> socket.socket:
        try:
            return bind(settings.HOST, settings.PORT)
        except OSError as error:
            place = f"{settings.HOST} port {settings.PORT}"
            raise CommandError(f"Cannot listen on {place}: {error.strerror} (HOST, PORT)") from None

    def _prepare(self) -> None:
        try:
            made, released = prepare_database(), is_released()
        except Unfit:
            raise
        except (NameTaken, Invalid) as error:
            raise CommandError(str(error)) from None
        except (Error, OSError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database cannot be used: {reason}") from None
        finally:
            connections.close_all()
        if made:
            self.stdout.write(f"Superuser {made.name} made, password {made.password} (shown only now)")
        if not released:
            self.stdout.write(HELD)
        self.stdout.flush()
