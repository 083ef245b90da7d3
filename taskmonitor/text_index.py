"""What makes a text within a description quick to find among a million (docs/decisions/0003-text-search.md).

SQLite: an FTS5 table of trigrams, kept by triggers; `Job.text_id` is a job's place in it. PostgreSQL: a GIN
index of trigrams, if its extension pg_trgm may be had. Either only helps: without it the answers are the
same, and slower. It is made after each migration, for a change of the job's table takes SQLite's triggers away.
"""

import logging
from typing import Any

from django.apps.registry import Apps
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connection, transaction
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

logger = logging.getLogger(__name__)

GRAM = 3  # letters; less than that is in no index
FEW = 2_000  # jobs, up to which it is better to take the ones found than to walk down the list
MOST_GRAMS = 20

_MATCHING = "SELECT rowid FROM taskmonitor_job_text WHERE taskmonitor_job_text MATCH %s"
_TRIGGERS = {  # NOT (.. IS NULL) as in the index `job_text_id`: SQLite would not know IS NOT NULL for the same
    "job_text_added": """
        CREATE TRIGGER job_text_added AFTER INSERT ON taskmonitor_job BEGIN
            UPDATE taskmonitor_job SET text_id = 1 + coalesce(
                (SELECT max(text_id) FROM taskmonitor_job WHERE NOT (text_id IS NULL)), 0
            ) WHERE id = new.id;
            INSERT INTO taskmonitor_job_text (rowid, description)
                SELECT text_id, description FROM taskmonitor_job WHERE id = new.id;
        END""",
    "job_text_deleted": """
        CREATE TRIGGER job_text_deleted AFTER DELETE ON taskmonitor_job WHEN old.text_id IS NOT NULL BEGIN
            INSERT INTO taskmonitor_job_text (taskmonitor_job_text, rowid, description)
                VALUES ('delete', old.text_id, old.description);
        END""",
}
_REBUILD = [
    "INSERT INTO taskmonitor_job_text (taskmonitor_job_text) VALUES ('delete-all')",
    """
    UPDATE taskmonitor_job SET text_id = ordered.number FROM (
        SELECT id, row_number() OVER (ORDER BY start_time, id) AS number FROM taskmonitor_job
    ) AS ordered WHERE ordered.id = taskmonitor_job.id
    """,
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


def narrowed(pattern: str) -> Q:
    """A filter that every job passes whose description is like `pattern`, and few others do; or an empty one.

    PostgreSQL's planner finds its index, and whether it helps, by itself.
    """
    grams = _grams(pattern)
    if connection.vendor != "sqlite" or not grams:
        return Q()
    expression = " AND ".join('"' + gram.replace('"', '""') + '"' for gram in grams)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'taskmonitor_job_text'")
        if not cursor.fetchone():
            return Q()
        cursor.execute(f"SELECT count(*) FROM ({_MATCHING} LIMIT {FEW + 1})", [expression])  # noqa: S608 - ours
        [found] = cursor.fetchone()
    if found > FEW:
        return Q()
    among = RawSQL(f"taskmonitor_job.text_id IN ({_MATCHING})", [expression], BooleanField())  # noqa: S611 - ours
    return Q(among)


def _grams(pattern: str) -> list[str]:
    """The first trigrams of the texts between the `*` of the pattern."""
    texts = pattern.split("*")
    grams = dict.fromkeys(
        text[place : place + GRAM] for text in texts for place in range(len(text) - GRAM + 1)
    )
    return list(grams)[:MOST_GRAMS]


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
            cursor.execute(_TRIGGERS[name])
        for statement in _REBUILD:
            cursor.execute(statement)


def _build_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        if not cursor.fetchone():
            cursor.execute("CREATE EXTENSION pg_trgm")
        cursor.execute(
            "CREATE INDEX IF NOT EXISTS job_text ON taskmonitor_job USING gin (upper(description) gin_trgm_ops)"
        )
