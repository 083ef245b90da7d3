"""Jobs by the hundred thousand, made by the database itself: the same ones in the same order at every size."""

from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection, transaction

from taskmonitor import text_index
from taskmonitor.models import Entity

OWNERS, ENTITIES = 20, 1000

_SERIES = {
    "sqlite": "WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i + 1 < %s)",
    "postgresql": "WITH s(i) AS (SELECT generate_series(0, %s - 1))",
}
_ID = {
    "sqlite": "printf('%%08x%%024x', i * 2654435761 %% 4294967296, i)",
    "postgresql": "(lpad(to_hex(i * 2654435761 %% 4294967296), 8, '0') || lpad(to_hex(i), 24, '0'))::uuid",
}
_TIME = {
    "sqlite": "datetime('2026-01-01', i || ' seconds')",
    "postgresql": "timestamptz '2026-01-01 00:00:00Z' + i * interval '1 second'",
}
_JOBS = """
    INSERT INTO taskmonitor_job (id, status, reason, start_time, end_time, description, external, progress_text,
        last_updated, action_type, owner_id, correlation_id, auto_cleared, version, last_sign, steps_total,
        steps_open, steps_bad, causes)
    {series}
    SELECT {id}, CASE WHEN i %% 100 < 3 THEN 'STARTED' WHEN i %% 100 < 5 THEN 'ABORTED' ELSE 'FINISHED' END, '',
        {time}, CASE WHEN i %% 100 < 3 THEN NULL ELSE {time} END,
        'Copy disk ' || (i %% 977) || CASE WHEN i %% 500 = 7 THEN ' to omega' ELSE ' to store' END,
        {true}, '', {time}, 'AddExternalJob', {owner} + i %% {owners}, 'bench-' || i, {false}, 2, {time}, 0, 0, 0, 0
    FROM s"""
_LINKS = """
    INSERT INTO taskmonitor_jobentity (job_id, entity_id, start_time)
    {series} SELECT {id}, {entity} + i %% {entities}, {time} FROM s"""


def seed(jobs: int) -> None:
    """Store so many finished, aborted and running jobs of OWNERS owners on ENTITIES entities."""
    owners = User.objects.bulk_create(User(username=f"owner-{n:02}", password="!") for n in range(OWNERS))
    entities = Entity.objects.bulk_create(
        Entity(type="vm", key=f"vm-{n:03}", name=f"vm-{n:03}") for n in range(ENTITIES)
    )
    vendor = connection.vendor
    words = {
        **{"series": _SERIES[vendor], "id": _ID[vendor], "time": _TIME[vendor]},
        **{"owner": owners[0].pk, "owners": OWNERS, "entity": entities[0].pk, "entities": ENTITIES},
        **({"true": "1", "false": "0"} if vendor == "sqlite" else {"true": "true", "false": "false"}),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        if vendor == "sqlite":
            cursor.execute("DROP TRIGGER IF EXISTS job_text_added")  # the index is made anew below
        cursor.execute(_JOBS.format(**words), [jobs])
        cursor.execute(_LINKS.format(**words), [jobs])
    text_index.build(apps=apps)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
