"""How long the web server waits for its database; workers and management commands take the time that they need.

Set on each new connection of the process that serves requests, so that they are answered in time whatever has
become of the database: busy, locked, or stopped with all connections open.
"""

from typing import Any

from django.db.backends.signals import connection_created

from taskmonitor.services.transaction import PATIENCE

STATEMENT = "10s"  # what the address of the database, or the database itself, says counts instead
LOCK = "5s"
MERCY = 2.0  # seconds beyond the bound of statements after which a server is taken to have stopped

_BOUND = "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s AND setting = '0'"
_BOUNDED = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"  # in milliseconds


def bound_connections() -> None:
    """From now on, in this process."""
    connection_created.connect(_bound, dispatch_uid="taskmonitor.serving.bounds")


def _bound(connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")
            return
        for name, bound in (("statement_timeout", STATEMENT), ("lock_timeout", LOCK)):
            cursor.execute(_BOUND, [bound, name])
        cursor.execute(_BOUNDED)
        [milliseconds] = cursor.fetchone()
    _give_up_after(connection.connection, milliseconds / 1000 + MERCY)


def _give_up_after(raw: Any, seconds: float) -> None:
    """Close the psycopg connection if its server says nothing for so long; by itself it would wait for ever.

    A server that is stopped bounds no statement, while its system goes on to confirm what is sent to it.
    """
    from psycopg import OperationalError  # which SQLite does without
    from psycopg.pq import TransactionStatus

    wait = raw.wait

    def wait_so_long(generator: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return wait(generator, *arguments, **{"timeout": seconds, **options})
        except OperationalError:
            if raw.info.transaction_status == TransactionStatus.ACTIVE:
                raw.close()
            raise

    raw.wait = wait_so_long
