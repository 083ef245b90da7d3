"""Django's backend for PostgreSQL, in which those who wait for a server that is not there hear of it together."""

from time import monotonic
from typing import Any

from django.db import OperationalError
from django.db.backends.postgresql import base

from taskmonitor.services.transaction import request_came

_failed_at = 0.0  # when an attempt of this process to connect failed last


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """As Django; but a request that came in before the last attempt failed makes none of its own.

        It takes an attempt some seconds to fail if packets vanish. With more requests than threads each would have
        to wait for all who came before it.
        """
        global _failed_at
        came = request_came.get()
        if came is not None and came < _failed_at:
            raise OperationalError("The database could not be connected to a moment ago")
        try:
            return super().get_new_connection(conn_params)
        except self.Database.OperationalError:
            _failed_at = monotonic()
            raise
