"""SQLite's file becomes smaller when what was in it is deleted; PostgreSQL sees to that by itself."""

from typing import Any

from django.db import connection

from taskmonitor.services.portions import Portions

KEPT = 2000  # free pages, of 4 KB each, that are left to what comes next; of a large file a tenth
INCREMENTAL = 2


def prepare(**_: Any) -> None:
    """Have a new file note where its pages belong, without which none can be moved (a receiver of pre_migrate)."""
    if connection.vendor == "sqlite" and not connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
            cursor.execute(
                "VACUUM"
            )  # without which it would not count, for the file has its first page already


def shrink(portions: Portions) -> None:
    """Give free pages back, as many as there is time for; a file that was made by an older version stays as large."""
    if connection.vendor != "sqlite" or _pragma("auto_vacuum") != INCREMENTAL:
        return
    while not portions.over and (pages := _too_many()) > 0:
        with portions.transaction(), connection.cursor() as cursor:
            cursor.execute(f"PRAGMA incremental_vacuum({min(pages, portions.size)})")
            cursor.fetchall()  # each row that is fetched moves a page


def _too_many() -> int:
    return _pragma("freelist_count") - max(KEPT, _pragma("page_count") // 10)


def _pragma(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        number: int = cursor.fetchone()[0]
        return number
