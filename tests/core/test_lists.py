"""Lists: complete, in order, page by page; and each by an index that has its order."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction

from taskmonitor import feed, text_index, upkeep
from taskmonitor.models import SYSTEM, Actor, Job
from taskmonitor.selectors import jobs as selected
from taskmonitor.selectors import search, tree
from taskmonitor.selectors.jobs import Cursor
from taskmonitor.services import _job_row
from taskmonitor.services.jobs import EntityName
from tests.factories import NOW, make_actor, make_job, make_step, make_user
from tests.live import ROOT, own_database

pytestmark = pytest.mark.django_db
SQLITE = connection.vendor == "sqlite"
sqlite = pytest.mark.skipif(not SQLITE, reason="PostgreSQL plans, and keeps its indexes, by itself")
postgresql = pytest.mark.skipif(SQLITE, reason="SQLite needs no extension")


# Order and pages


@pytest.fixture
def crowd() -> list[Job]:
    """Ninety jobs of two owners in some thirty seconds, many at the same instant, stored in no order; newest first."""
    dice = random.Random(5)
    owners = [make_actor(make_user(name)) for name in ("anna", "bert")]
    made = [
        make_job(
            dice.choice(owners),
            description=f"{dice.choice(['Clone', 'Copy'])} disk {number}",
            now=NOW + timedelta(seconds=dice.randrange(30), milliseconds=dice.choice([0, 0, 1, 999])),
            entities=[EntityName("vm", f"web-{dice.randrange(2)}")],
            correlation_id=f"family_{number % 7}-{number}",
        )
        for number in range(90)
    ]
    for job in made[::4]:
        Job.objects.filter(pk=job.pk).update(status="FAILED", end_time=NOW + timedelta(hours=1))
    return sorted(Job.objects.all(), key=lambda job: (job.start_time, job.pk), reverse=True)


QUERIES = [
    "",
    "status = failed",
    "status != failed",
    "status = failed or owner = bert",
    "owner = anna and status = started",
    "entity = web-1",
    "entity = web-*",
    "entity = web-0 and clone",
    "clone",
    "clone or copy",
    "clone and status = failed",
    "disk*1",
    "correlation_id = family_1*",
    "correlation_id = *_1-*",
    "correlation_id != family_1*",
    "correlation_id = family_* and clone",
    "start_time > 2026-11-21T12:00:10Z",
    "end_time > 2026-11-21T12:00:10Z or clone",
]


@pytest.mark.parametrize("query", QUERIES)
def test_pages_together_are_the_list(crowd: list[Job], query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = search.parse(query)
    matching = set(Job.objects.filter(asked.where).values_list("pk", flat=True))
    seen = selected.visible(SYSTEM)
    for oldest_first, few in product((False, True), (0, 2000)):
        monkeypatch.setattr(selected, "FEW", few)
        expected = [job.pk for job in (crowd[::-1] if oldest_first else crowd) if job.pk in matching]
        paged: list[Any] = []
        for page in selected.every(seen, oldest_first=oldest_first, size=7, any_of=asked.any_of):
            paged += [job.pk for job in page]
        assert paged == expected, (oldest_first, few)
        second, _ = selected.page(seen, limit=7, offset=7, oldest_first=oldest_first, any_of=asked.any_of)
        assert [job.pk for job in second] == expected[7:14], (oldest_first, few)


def test_a_page_says_where_the_next_one_begins_if_there_is_one(crowd: list[Job]) -> None:
    seen = selected.visible(SYSTEM)
    page, cursor = selected.page(seen, limit=90)
    assert (page, cursor) == (crowd, None)
    page, cursor = selected.page(seen, limit=89)
    assert str(cursor) == str(Cursor.behind(crowd[88]))
    assert selected.page(seen, limit=5, after=Cursor.parse(str(cursor))) == ([crowd[89]], None)
    assert selected.page(seen, limit=0) == ([], None)


def test_a_job_that_comes_meanwhile_shifts_no_page(crowd: list[Job]) -> None:
    seen = selected.visible(SYSTEM)
    _, cursor = selected.page(seen, limit=10)
    make_job(now=NOW + timedelta(days=1))
    page, _ = selected.page(seen, limit=10, after=cursor)
    assert page == crowd[10:20]


def test_lists_show_what_is_the_callers_to_see_and_not_cleared(crowd: list[Job]) -> None:
    anna = make_actor(crowd[0].owner)
    own = [job for job in crowd if job.owner_id == anna.user_id]
    Job.objects.filter(pk=own[0].pk).update(cleared_at=NOW)
    assert set(selected.listed(anna)) == set(own[1:])
    assert set(selected.listed(SYSTEM)) == set(crowd) - {own[0]}
    bert = Actor(user_id=anna.user_id, name="anna", rights=SYSTEM.rights)
    assert set(Job.objects.filter(selected.visible(bert, own_only=True))) == set(own[1:])


@pytest.mark.parametrize("query", ["is", "correlation_id = *ami*"])
def test_letters_that_no_index_has_are_looked_for_among_the_newest(
    crowd: list[Job], query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selected, "FARTHEST", 20)
    asked = search.parse(query)
    page, _ = selected.page(selected.visible(SYSTEM), limit=90, any_of=asked.any_of)
    assert page == [job for job in crowd if job.start_time >= crowd[20].start_time]


# Plans


@contextmanager
def plans() -> Iterator[list[str]]:
    """The plan of each SELECT, in words of the database, once the context has ended."""
    asked: list[tuple[str, Any]] = []
    found: list[str] = []

    def note(execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            asked.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(note):
        yield found
    with connection.cursor() as cursor:
        for sql, parameters in asked:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if SQLITE else ''}{sql}", parameters)
            found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))


@pytest.fixture(scope="class")
def many(django_db_setup: None, django_db_blocker: Any) -> Iterator[Actor]:
    """Six thousand jobs, one in twenty of them of the actor."""
    with django_db_blocker.unblock(), transaction.atomic():
        owners = [make_user("anna"), make_user("bert")]
        Job.objects.bulk_create(
            [
                Job(
                    description=f"Clone disk {number}",
                    status="FAILED" if number % 20 == 0 else "FINISHED",
                    external=number % 2 == 0,
                    auto_cleared=number % 3 == 0,
                    owner=owners[number % 20 > 0],
                    correlation_id=f"c-{number // 3}",
                    start_time=NOW + timedelta(seconds=number),
                    last_sign=NOW,
                    last_updated=NOW + timedelta(seconds=number + 60),
                    end_time=NOW + timedelta(seconds=number + 60),
                )
                for number in range(6_000)
            ]
        )
        for number in range(0, 6_000, 300):
            make_job(
                make_actor(owners[0]),
                now=NOW + timedelta(seconds=number),
                entities=[EntityName("vm", f"web-{number // 300 % 2}")],
                heartbeat_limit=60,
            )
        if not SQLITE:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        yield make_actor(owners[0])
        transaction.set_rollback(True)


PRIMARY_KEY = "sqlite_autoindex_taskmonitor_job_1" if SQLITE else "taskmonitor_job_pkey"
MIDDLE = Cursor(NOW + timedelta(seconds=3_000), Job().pk)


@pytest.mark.usefixtures("many")
class TestPlans:
    @pytest.mark.parametrize("after", [None, MIDDLE], ids=["newest", "deep"])
    @pytest.mark.parametrize(
        ("query", "for_all", "for_one"),
        [
            ("", "job_newest", "job_by_owner"),
            ("status = failed", "job_by_status", "job_by_owner_status"),
            ("status = started", "job_by_status", "job_by_owner_status"),
            ("status = unknown", "job_by_status", "job_by_owner_status"),
            ("status != finished", "job_by_status", "job_by_owner_status"),
            ("owner = anna", "job_by_owner", "job_by_owner"),
            ("owner = anna and status = failed", "job_by_owner_status", "job_by_owner_status"),
            pytest.param("external = true", "job_by_external", "job_by_", marks=sqlite),
            ("correlation_id = c-7", "job_correlation", "job_correlation"),
            ("correlation_id = nonesuch", "job_correlation", "job_correlation"),
            ("correlation_id = c-77*", "job_correlation", "job_correlation"),
            ("correlation_id = c-77*7", "job_correlation", "job_correlation"),
            ("correlation_id = nonesuch_*", "job_correlation", "job_correlation"),
            pytest.param("correlation_id = c*", "job_newest", "job_by_owner", marks=sqlite),
            pytest.param("id = *", "job_newest", "job_by_owner", marks=sqlite),
            pytest.param("correlation_id = *-7", "job_newest", "job_by_owner", marks=sqlite),
            ("id = 01234567*", PRIMARY_KEY, PRIMARY_KEY),
            ("entity = web-1", "entity_history", "job_by_owner"),
            ("start_time < 2026-11-21T13:00:00Z", "job_newest", "job_by_owner"),
            ("end_time > 2026-11-21T13:39:00Z", "job_ended", "job_ended"),
            ("end_time > 2027-01-01", "job_ended", "job_ended"),
            pytest.param("end_time < 2026-11-21T12:02:00Z", "job_newest", "job_by_owner", marks=sqlite),
            ("last_updated > 2027-01-01", "job_ended", "job_ended"),
            pytest.param("zanzibar", "taskmonitor_job_text", "job_by_owner", marks=sqlite),
            pytest.param("zänzibar", "taskmonitor_job_text", "job_by_owner", marks=sqlite),
        ],
    )
    def test_each_list_walks_an_index_in_its_order(
        self, many: Actor, query: str, for_all: str, for_one: str, after: Cursor | None
    ) -> None:
        for actor, index in ((SYSTEM, for_all), (many, for_one)):
            if not SQLITE:
                with connection.cursor() as cursor:  # the tables are small here
                    cursor.execute("SET LOCAL enable_seqscan = off")
            with plans() as found:
                asked = search.parse(query)
                selected.page(selected.visible(actor), limit=50, after=after, any_of=asked.any_of)
            together = "\n".join(found)
            assert index in together or (actor is many and not SQLITE), together
            assert "Seq Scan on taskmonitor_job" not in together, together
            assert "SCAN taskmonitor_job\n" not in f"{together}\n", together
            if SQLITE and not any(part.few or part.entity or part.text for part in asked.any_of):
                assert "TEMP B-TREE" not in together, together

    @pytest.mark.parametrize(
        ("due", "index"),
        [
            (upkeep.stale_jobs, "job_stale"),
            (upkeep._ended_to_clear, "job_ended"),
            (upkeep._lost_to_clear, "job_by_status"),
            (upkeep._to_delete, "job_to_delete"),
        ],
    )
    def test_upkeep_finds_what_is_due_by_an_index(self, many: Actor, due: Any, index: str) -> None:
        with plans() as found:
            list(due(NOW - timedelta(days=100))[:500])
        assert index in found[0], found[0]

    def test_steps_and_events_are_found_by_an_index(self, many: Actor) -> None:
        job = make_job()
        top = make_step(job)
        for read, index in (
            (lambda: tree.level(job, None, limit=50), "step_number_top"),
            (lambda: tree.level(job, top.pk, limit=50), "parent_step_id=" if SQLITE else "step_number"),
            (lambda: tree.counts(job, [top]), "parent_step_id=" if SQLITE else "step_number"),
            (lambda: _job_row.open_steps(job), "step_open" if SQLITE else "Index"),
            (lambda: feed.read(after=feed.last() - 5, limit=10), "PRIMARY KEY" if SQLITE else "event_pkey"),
            (feed.last, "SEARCH" if SQLITE else "event_pkey"),
        ):
            with connection.cursor() as cursor:
                if not SQLITE:
                    cursor.execute("SET LOCAL enable_seqscan = off")  # the tables are small here
            with plans() as found:
                read()
            assert index in found[-1], found[-1]


# The index of texts


def places(pattern: str) -> list[int]:
    return text_index.places(text_index.expression(pattern), behind=None, oldest_first=False, limit=100_000)


def found_by_walk(query: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(selected, "FEW", 0)
    page, _ = selected.page(selected.visible(SYSTEM), limit=50, any_of=search.parse(query).any_of)
    return [job.description for job in page]


@sqlite
def test_the_index_of_texts_gives_jobs_in_the_order_of_the_list(crowd: list[Job]) -> None:
    by_place = {job.text_id: job for job in Job.objects.all()}
    seconds = [int(by_place[place].start_time.timestamp()) for place in places("*disk*")]
    assert len(seconds) == 90
    assert seconds == sorted(seconds, reverse=True)


@sqlite
def test_more_jobs_in_one_second_than_it_has_places_are_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    last = text_index.before_second(NOW + timedelta(seconds=1))
    Job.objects.filter(pk=make_job(description="Copy the last place").pk).update(text_id=last)
    for number in range(3):
        make_job(description=f"Copy more {number}")
    make_job(description="Copy of the next second", now=NOW + timedelta(seconds=1))
    assert sorted(found_by_walk("copy", monkeypatch)[1:]) == [f"Copy more {number}" for number in range(3)]
    assert found_by_walk('"next second"', monkeypatch) == ["Copy of the next second"]


@sqlite
def test_deleted_jobs_leave_the_index_of_texts() -> None:
    first, second = make_job(description="Copy disk"), make_job(description="Copy disk")
    first.delete()
    second.refresh_from_db()
    assert places("*disk*") == [second.text_id]


@sqlite
def test_the_index_is_made_anew_when_a_migration_has_taken_its_triggers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_job(description="Copy before")
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER job_text_added")
    make_job(description="Copy meanwhile", now=NOW + timedelta(seconds=1))
    assert found_by_walk("meanwhile", monkeypatch) == []
    text_index.build(apps=apps)
    make_job(description="Copy after", now=NOW + timedelta(seconds=2))
    assert found_by_walk("copy", monkeypatch) == ["Copy after", "Copy meanwhile", "Copy before"]


@sqlite
@pytest.mark.django_db(transaction=True)
def test_a_vacuum_does_the_index_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [make_job(description=f"Copy disk {number}") for number in range(20)]
    for job in made[::2]:
        job.delete()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
    assert sorted(found_by_walk("disk", monkeypatch)) == sorted(job.description for job in made[1::2])
    assert found_by_walk('"disk 13"', monkeypatch) == ["Copy disk 13"]


def test_without_the_index_of_texts_the_answers_are_the_same(
    crowd: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_index = found_by_walk("clone", monkeypatch)
    with connection.cursor() as cursor:
        if SQLITE:
            cursor.execute("DROP TRIGGER job_text_added")
            cursor.execute("DROP TRIGGER job_text_deleted")
            cursor.execute("DROP TABLE taskmonitor_job_text")
        else:
            cursor.execute("DROP INDEX job_text")
    assert found_by_walk("clone", monkeypatch) == with_index
    assert len(with_index) > 20


@postgresql
def test_a_text_is_found_by_its_trigrams() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # the table is empty here
        cursor.execute("EXPLAIN SELECT id FROM taskmonitor_job WHERE upper(description) LIKE '%ZANZIBAR%'")
        assert "job_text" in str(cursor.fetchall())


@postgresql
def test_where_the_extension_may_not_be_had_there_is_a_warning_and_no_index(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP EXTENSION pg_trgm CASCADE")
        cursor.execute("CREATE ROLE tm_weak")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO tm_weak")
        cursor.execute("SET LOCAL ROLE tm_weak")
        text_index.build(apps=apps)
        assert "No index of descriptions" in caplog.text
        cursor.execute("RESET ROLE")
        transaction.set_rollback(True)


@postgresql
@pytest.mark.parametrize(("locale", "warned"), [("C", True), ("C.UTF-8", False)])
def test_a_database_that_knows_no_letters_but_ascii_is_told_of(locale: str, warned: bool) -> None:
    with own_database(f"TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE '{locale}'") as database:
        migrated = subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0"],
            cwd=ROOT,
            env=os.environ | database,
            check=True,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert ("LC_CTYPE knows the case of ASCII's letters only" in migrated.stderr) == warned
