"""What makes a text within a description quick to find among a million (docs/decisions/0003-text-search.md).

SQLite: an FTS5 table of trigrams, kept by triggers. Its rows are numbered in the order of lists, by start time,
so that it gives the newest jobs first, however many there are. PostgreSQL: a GIN index of trigrams, if its
extension pg_trgm may be had. Either only helps: without it the answers are the same, and slower. It is made
after each migration, for a change of the job's table takes SQLite's triggers away.
"""

import logging
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from typing import Any

from django.apps.registry import Apps
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connection, transaction

from taskmonitor.letters import apart_in_trigrams
from taskmonitor.statements import executed

logger = logging.getLogger(__name__)

GRAM = 3  # letters; less than that is in no index
MOST_GRAMS = 12
SLOTS = 65_536  # numbers that a second has; jobs beyond that take those of the seconds after it

_FIRST_PLACE = f"{SLOTS} * CAST(strftime('%%s', substr(new.start_time, 1, 19)) AS INTEGER)"
_MATCHING = "SELECT rowid FROM taskmonitor_job_text WHERE taskmonitor_job_text MATCH %s"
_TRIGGERS = {
    "job_text_added": f"""
        CREATE TRIGGER job_text_added AFTER INSERT ON taskmonitor_job BEGIN
            UPDATE taskmonitor_job SET text_id = coalesce((
                SELECT max(text_id) + 1 FROM taskmonitor_job
                WHERE text_id BETWEEN {_FIRST_PLACE} AND {_FIRST_PLACE} + {SLOTS - 1}
            ), {_FIRST_PLACE}) WHERE id = new.id;
            UPDATE taskmonitor_job SET text_id = (
                SELECT max(text_id) + 1 FROM taskmonitor_job WHERE text_id IS NOT NULL
            ) WHERE id = new.id AND text_id = {_FIRST_PLACE} + {SLOTS};
            INSERT INTO taskmonitor_job_text (rowid, description)
                SELECT text_id, description FROM taskmonitor_job WHERE id = new.id;
        END""",  # noqa: S608 - numbers of ours
    "job_text_deleted": """
        CREATE TRIGGER job_text_deleted AFTER DELETE ON taskmonitor_job WHEN old.text_id IS NOT NULL BEGIN
            INSERT INTO taskmonitor_job_text (taskmonitor_job_text, rowid, description)
                VALUES ('delete', old.text_id, old.description);
        END""",
}
_REBUILD = [
    "INSERT INTO taskmonitor_job_text (taskmonitor_job_text) VALUES ('delete-all')",
    f"""
    UPDATE taskmonitor_job SET text_id = ordered.place FROM (
        SELECT id, number + max({_FIRST_PLACE} - number) OVER (ORDER BY number) AS place
        FROM (SELECT *, row_number() OVER (ORDER BY start_time, id) AS number FROM taskmonitor_job) AS new
    ) AS ordered WHERE ordered.id = taskmonitor_job.id
    """,  # noqa: S608 - numbers of ours
    """
    INSERT INTO taskmonitor_job_text (rowid, description)
        SELECT text_id, description FROM taskmonitor_job ORDER BY text_id
    """,
]


def build(*, apps: Apps | None = None, **_: Any) -> None:
    """Make the index if it is not there, or not whole (a receiver of post_migrate)."""
    if apps is None:
        return  # the database was flushed, not migrated
    try:
        apps.get_model("taskmonitor", "Job")._meta.get_field("text_id")
    except (LookupError, FieldDoesNotExist):
        return  # migrated back to before there was one
    try:
        with transaction.atomic():
            _build_sqlite() if connection.vendor == "sqlite" else _build_postgresql()
    except DatabaseError as problem:
        logger.warning("No index of descriptions, so searching them is slow: %s", problem)


def expression(pattern: str) -> str:
    """What `places` is asked for the texts between the `*` of the pattern; empty if it would not help.

    PostgreSQL's planner finds its index, and whether it helps, by itself.
    """
    if connection.vendor != "sqlite":
        return ""
    grams = dict.fromkeys(gram for text in pattern.split("*") for gram in _cover(text))
    return " AND ".join(f"({_in_any_case(gram)})" for gram in list(grams)[:MOST_GRAMS])


def is_there() -> bool:
    """Whether `places` can be asked."""
    with executed("SELECT 1 FROM sqlite_master WHERE name = 'taskmonitor_job_text'", []) as cursor:
        return cursor.fetchone() is not None


def places(expression: str, *, behind: int | None, oldest_first: bool, limit: int) -> list[int]:
    """The next `text_id`s of jobs that may match, in the order of the list; all that do match are among them."""
    sign, direction = (">", "ASC") if oldest_first else ("<", "DESC")
    bound, values = (f"AND rowid {sign} %s", [behind]) if behind is not None else ("", [])
    sql = f"{_MATCHING} {bound} ORDER BY rowid {direction} LIMIT %s"  # words of ours
    with executed(sql, [expression, *values, limit]) as cursor:
        return [place for (place,) in cursor.fetchall()]


def _cover(text: str) -> Iterator[str]:
    """As few trigrams as have every letter of the text in them."""
    for start in range(0, len(text) - GRAM + 1, GRAM):
        yield text[start : start + GRAM]
    if len(text) > GRAM:
        yield text[-GRAM:]


def _in_any_case(gram: str) -> str:
    """The FTS5 expression that finds this trigram in upper, lower and mixed case."""
    spelled = ("".join(letters).replace('"', '""') for letters in product(*map(apart_in_trigrams, gram)))
    return " OR ".join(f'"{one}"' for one in spelled)


def before_second(time: datetime) -> int:
    """The place in front of those of all jobs that start in the same second or later."""
    return int(time.timestamp()) * SLOTS - 1


def second_of(place: int) -> int:
    """The second since 1970 that the place belongs to; a job there starts in it, or shortly before."""
    return place // SLOTS


def _build_sqlite() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        missing = set(_TRIGGERS) - {name for (name,) in cursor.fetchall()}
        if not missing:
            return
        cursor.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS taskmonitor_job_text USING fts5("
            "description, content='', detail=none, columnsize=0, tokenize='trigram')"
        )
        for name in missing:
            cursor.execute(_TRIGGERS[name], [])
        for statement in _REBUILD:
            cursor.execute(statement, [])


def _build_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        if not cursor.fetchone():
            cursor.execute("CREATE EXTENSION pg_trgm")
        cursor.execute(
            "CREATE INDEX IF NOT EXISTS job_text ON taskmonitor_job USING gin (upper(description) gin_trgm_ops)"
        )
        # so that the planner knows of a word in a hundred that it is frequent, and walks down the list for it
        cursor.execute("ALTER INDEX job_text ALTER COLUMN 1 SET STATISTICS 1000")
        cursor.execute("SELECT upper('ü') = 'Ü'")
        if not cursor.fetchone()[0]:
            logger.warning(
                "The database's LC_CTYPE knows the case of ASCII's letters only: searches find others as they "
                "are written. Make the database with another one, such as C.UTF-8, and load a dump into it."
            )
