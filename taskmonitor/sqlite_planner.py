"""What SQLite's planner is told about the tables that grow.

Without statistics it takes any index for about equally good, and follows that of an owner with half a million
jobs to find four. ANALYZE would tell it only averages of the day, and connections that are open would not hear
of it. So it is told once, after each migration, how such tables look when they are large; then the plans are
the same everywhere (the numbers: rows of the index, then rows for one value of its first column, its first
two, and so on).
"""

from typing import Any

from django.apps.registry import Apps
from django.db import connection, transaction

STATISTICS = {
    "taskmonitor_job": {
        "sqlite_autoindex_taskmonitor_job_1": "1000000 1",
        "job_newest": "1000000 2 1",
        "job_by_status": "1000000 200000 2 1",
        "job_by_owner": "1000000 100000 2 1",
        "job_by_owner_status": "1000000 100000 20000 2 1",
        "job_by_external": "1000000 500000 2 1",
        "job_correlation": "1000000 4",
        "job_ended": "1000000 500000 2",
        "job_text_id": "1000000 1",
    },
    "taskmonitor_jobentity": {
        "entity_history": "1000000 1000 2 1",
        "sqlite_autoindex_taskmonitor_jobentity_1": "1000000 2 1",
    },
}


def tell(*, apps: Apps | None = None, **_: Any) -> None:
    """Write the statistics of the indexes that there are (a receiver of post_migrate)."""
    if apps is None or connection.vendor != "sqlite":
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ANALYZE django_migrations")  # makes the table of statistics, if there is none
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
        there = {name for (name,) in cursor.fetchall()}
        for table, indexes in STATISTICS.items():
            cursor.execute("DELETE FROM sqlite_stat1 WHERE tbl = %s", [table])
            cursor.executemany(
                "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (%s, %s, %s)",
                [(table, index, numbers) for index, numbers in indexes.items() if index in there],
            )
        cursor.execute("ANALYZE sqlite_master")  # read them
