"""Searching over REST: what can be asked, and that nothing that can be asked does harm (H7)."""

from collections.abc import Callable
from datetime import timedelta
from time import process_time
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskmonitor.models import Job, Role
from taskmonitor.services import jobs
from taskmonitor.services.jobs import EntityName
from tests.api.caller import Caller, fault, read
from tests.api.test_fuzz import each_of
from tests.api.test_jobs import ids
from tests.factories import NOW, make_actor, make_job


@pytest.fixture
def works(owner: object) -> dict[str, Job]:
    """Jobs that differ in what can be searched."""
    web = make_job(
        description="Clone web-01", correlation_id="night-1", entities=[EntityName("vm", "v1", "web-01")]
    )
    old = make_job(description="Copy disk", now=NOW - timedelta(days=3), auto_cleared=True)
    own = make_job(description="Update the server", now=NOW - timedelta(days=1))
    jobs.end_job(job_id=old.pk, status="FAILED", actor=make_actor(), now=NOW - timedelta(days=2))
    Job.objects.filter(pk=own.pk).update(external=False, action_type="UpdateHost")
    return {"web": web, "old": old, "own": own}


@pytest.mark.mission("S9")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "web own old"),
        ("external = true", "web old"),
        ("external=false", "own"),
        ("external != true", "own"),
        ("status = started", "web own"),
        ("Status = FAILED", "old"),
        ("status != started", "old"),
        ("owner = plugin", "web own old"),
        ("owner = nobody", ""),
        ("description = Clone*", "web"),
        ("description = *disk", "old"),
        ("description = *e*e*", "web own"),
        ('description = "Copy disk"', "old"),
        ("server", "own"),
        ("correlation_id = night-1", "web"),
        ("correlation_id != night-1", "own old"),
        ("entity = web-01", "web"),
        ("entity = web-*", "web"),
        ("action_type = UpdateHost", "own"),
        ("auto_cleared = true", "old"),
        ("start_time > 2026-11-19", "web own"),
        ("start_time < 2026-11-20T12:00:00Z", "old"),
        ("end_time <= 2026-11-20", "old"),
        ("status = started and external = false", "own"),
        ("status = failed or entity = web-01", "web old"),
        ("(status = failed or entity = web-01) and auto_cleared = true", "old"),
        ("status = started sortby start_time asc", "own web"),
        ("sortby start_time", "old own web"),
        ("description = 'no'", ""),
        ("description = %", ""),
        ("description = _lone*", ""),
        ("description = \\", ""),
    ],
)
def test_a_search_finds(either: Caller, works: dict[str, Job], query: str, names: str) -> None:
    found = ids(read(either.get(f"jobs?{urlencode({'search': query})}")))
    assert found == [str(works[name].pk) for name in names.split()]
    assert ids(read(either.get(f"jobs;search={quote(query, safe='')}"))) == found


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("nonsense = 1", "there is no column nonsense; the columns are id, description, status"),
        ("status = running", "status running is not one of STARTED, FINISHED"),
        ("external = perhaps", "external is true or false, not perhaps"),
        ("start_time > yesterday", "start_time yesterday is not a time such as"),
        ("start_time > 9999-12-31T23:59:59-14:00", "start_time 9999-12-31T23:59:59-14:00 is not a time"),
        ("start_time > 0001-01-01T00:00:00+14:00", "start_time 0001-01-01T00:00:00+14:00 is not a time"),
        ("start_time > 10000-01-01", "start_time 10000-01-01 is not a time"),
        ("start_time > 2026-02-30", "start_time 2026-02-30 is not a time"),
        ("id = 7", "id 7 is not a UUID"),
        ("status < started", "status can be compared by = and != only"),
        ("status =", "ends where a value for status is expected"),
        ("status = started and", "ends where a column is expected"),
        ("(status = started", "a parenthesis is not closed"),
        ("(" * 50, "has more than 20 parentheses"),
        ('description = "open', "cannot be read from"),
        ("sortby owner", "jobs can be sorted by start_time, not by owner"),
        ("page 0", "page 0 is not a number from 1"),
        ("x" * 2001, "has 2001 characters; at most 2000 are read"),
        ("description = a\0b", "has the character U+0000"),
        ("\ufffe", "has the character U+FFFE"),
    ],
)
def test_a_wrong_search_is_named(either: Caller, works: dict[str, Job], query: str, words: str) -> None:
    status, reason, detail = fault(either.get(f"jobs?{urlencode({'search': query})}"))
    assert (status, reason) == (400, "Invalid value")
    assert detail.startswith("search: ")
    assert words in detail


@pytest.mark.parametrize(
    "condition", ["correlation_id=fam_*", "action_type=AddExternal* and correlation_id=fam*"]
)
def test_a_family_of_correlation_ids_is_found_by_its_beginning(either: Caller, condition: str) -> None:
    """Else a client that waits for its jobs takes them for ended, and goes on."""
    added = [
        read(either.post("jobs", "job", {"description": "Clone"}, Correlation_Id=name))["id"]
        for name in ("fam_1", "fam_2", "FAM_3", "other")
    ]
    found = ids(read(either.get(f"jobs?{urlencode({'search': condition + ' sortby start_time'})}")))
    assert found == added[:2]


def test_without_max_all_jobs_are_on_page_1(either: Caller, works: dict[str, Job]) -> None:
    def found(query: str) -> int:
        return len(ids(read(either.get(f"jobs?{query}"))))

    assert [found(f"search=page%20{number}") for number in (1, 2, 3)] == [3, 0, 0]
    assert [found(f"search=page%20{number}&max=2") for number in (1, 2, 3)] == [2, 1, 0]
    assert [found(f"search=page%20{number}&max=1000") for number in (1, 2)] == [3, 0]
    assert [found(f"search=page%20{number}&after=") for number in (1, 2)] == [3, 0]
    assert found("search=clone%20page%202") == 0


def test_a_quote_within_quotes_has_a_backslash(either: Caller) -> None:
    job = make_job(description='Copy "disk 1" \\ more')
    for query in (r'"\"disk 1\""', r'description = "copy \"*"', r'"\\ more"'):
        assert ids(read(either.get(f"jobs?{urlencode({'search': query})}"))) == [str(job.pk)], query


@pytest.mark.parametrize(("stored", "asked"), [("Übertragung", "übertragung"), ("Желе", "жЕЛЕ")])
def test_letters_match_in_any_case(either: Caller, stored: str, asked: str) -> None:
    job = make_job(description=f"{stored} 7")
    for query in (asked, f"description={asked}*", f'"{asked} 7" and description=*7'):
        assert ids(read(either.get(f"jobs?{urlencode({'search': query})}"))) == [str(job.pk)], query


def test_a_search_does_not_show_others_work(calling: Callable[..., Caller], works: dict[str, Job]) -> None:
    rival = calling("rival", Role.INJECTOR)
    for query in ("", "description = *", f"id = {works['web'].pk}", "status = started or status != started"):
        assert ids(read(rival.get(f"jobs?{urlencode({'search': query})}"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE taskmonitor_job; --",
        "' OR '1'='1",
        '" OR ""="',
        "1; SELECT pg_sleep(10)",
        "$$",
        "%s %(x)s {0}",
        "\\'; --",
        "' UNION SELECT password FROM auth_user --",
    ],
)
def test_sql_is_text_like_any_other(either: Caller, text: str) -> None:
    """H7."""
    job = make_job(description=text)
    assert ids(read(either.get("jobs"))) == [str(job.pk)]
    for path in ("search={}", 'search=description="{}"', "max={}", "after={}", "follow={}", "filter={}"):
        address = path.partition("=")[0] + "=" + quote(path.partition("=")[2].format(text), safe="")
        response = either.get(f"jobs?max=5&{address}" if "max" not in path else f"jobs?{address}")
        assert response.status_code in (200, 400)
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    "query", ["description=" + "a*" * 900 + "b", "description=" + "*" * 1900, " or ".join(["a"] * 390)]
)
def test_no_search_takes_for_ever(plugin: Caller, query: str) -> None:
    """As a regular expression, the first would take centuries."""
    make_job(description="a" * 65_000)
    begun = process_time()
    assert plugin.get(f"jobs?{urlencode({'search': query})}").status_code in (200, 400)
    assert process_time() - begun < 2


WORDS = st.lists(
    each_of(
        """status owner entity start_time id external = != < >= ( ) and or sortby page asc desc started true * a*b "
        2026-11-21 1 % \\"""
    )
    | st.text(max_size=5),
    max_size=12,
).map(" ".join)


@pytest.mark.django_db
@settings(max_examples=settings.get_profile("api").max_examples // 2)
@given(query=st.text(max_size=40) | WORDS)
def test_any_search_is_answered_or_refused(plugin: Caller, query: str) -> None:
    text = query.encode("utf-8", "replace").decode()
    response = plugin.get(f"jobs?max=3&{urlencode({'search': text})}")
    assert response.status_code in (200, 400)
    assert response.status_code == 200 or fault(response)[2].startswith("search: ")
