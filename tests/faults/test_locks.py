"""A process that was stopped within a transaction; on SQLite it keeps all others from writing until it is woken."""

import os
import signal
import subprocess
import sys

import psycopg
import pytest

from tests.faults.ground import in_full
from tests.live import ROOT, own_database

HOLD = """
import django, time
django.setup()
from django.db import connection, transaction
with transaction.atomic(), connection.cursor() as cursor:
    cursor.execute("CREATE TABLE held (id int)")
    print(cursor.execute("SHOW idle_in_transaction_session_timeout").fetchone()[0], flush=True)
    time.sleep(60)
"""


@in_full
def test_postgres_takes_its_locks_away() -> None:
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        pytest.skip("on PostgreSQL only")
    with own_database() as database:
        environment = os.environ | database | {"DJANGO_SETTINGS_MODULE": "taskmonitor.settings"}
        with subprocess.Popen(
            [sys.executable, "-c", HOLD], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == "15s\n"
            process.send_signal(signal.SIGSTOP)
            with psycopg.connect(database["DATABASE_URL"]) as other:
                other.execute("SET lock_timeout = '25s'")
                other.execute("CREATE TABLE held (id int)")  # waits for the other's to be given up
            process.kill()
