"""The search language: what it finds, what it refuses, and that nothing else can happen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from taskmonitor.errors import Invalid
from taskmonitor.letters import in_any_case
from taskmonitor.models import SYSTEM, Actor, Job
from taskmonitor.selectors import columns, search
from taskmonitor.selectors import jobs as selected
from taskmonitor.services import jobs
from taskmonitor.services.jobs import EntityName
from tests.factories import NOW, make_actor, make_job, make_user

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def found(query: str, actor: Actor | None = None) -> list[str]:
    """The descriptions of the jobs that the query finds, in its order; by both ways to ask for them."""
    asked = search.parse(query)
    seen = selected.visible(actor or SYSTEM)
    page, _ = selected.page(
        seen, limit=50, any_of=asked.any_of, oldest_first=asked.oldest_first, offset=50 * (asked.page - 1)
    )
    if asked.page == 1:
        assert {job.pk for job in page} == set(
            Job.objects.filter(seen, asked.where).values_list("pk", flat=True)
        )
    return [job.description for job in page]


@pytest.fixture
def site() -> list[Job]:
    """Five jobs of two owners, one a minute."""
    anna, bert = make_actor(make_user("anna")), make_actor(make_user("Bert"))
    made = [
        make_job(anna, description="Clone web-01", now=NOW, entities=[EntityName("vm", "1", "web-01")]),
        make_job(anna, description="Clone WEB-02 100%", now=NOW + MINUTE, correlation_id="c-7"),
        make_job(bert, description="backup_db and more", now=NOW + 2 * MINUTE, auto_cleared=True),
        make_job(
            bert, description='say "hello" *', now=NOW + 3 * MINUTE, entities=[EntityName("vm", "web-01")]
        ),
        make_job(bert, description="Zoë ab", now=NOW + 4 * MINUTE, entities=[EntityName("disk", "vda")]),
    ]
    for job, status in zip(made[1:4], ("FINISHED", "FAILED", "ABORTED"), strict=True):
        owner = make_actor(job.owner)
        jobs.end_job(job_id=job.pk, status=status, actor=owner, now=NOW + timedelta(hours=1))
    Job.objects.filter(pk=made[2].pk).update(external=False)
    return made


ALL = ["Zoë ab", 'say "hello" *', "backup_db and more", "Clone WEB-02 100%", "Clone web-01"]
ZOE, HELLO, BACKUP, WEB2, WEB1 = ALL


@pytest.mark.mission("S9")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ALL),
        ("   ", ALL),
        ("clone", [WEB2, WEB1]),
        ("CLONE", [WEB2, WEB1]),
        ("web-0", [WEB2, WEB1]),
        ('"clone web"', [WEB2, WEB1]),
        ("ab", [ZOE]),
        ("a", [ZOE, HELLO, BACKUP]),
        ("100%", [WEB2]),
        ("backup_db", [BACKUP]),
        ("backup%db", []),
        ("backupXdb", []),
        ("nonesuch", []),
        ("!", []),
        ("description = clone*", [WEB2, WEB1]),
        ("description = *01", [WEB1]),
        ("description = c*1", [WEB1]),
        ("description = *o*e*", [ZOE, BACKUP, WEB2, WEB1][1:]),
        ('description = "clone WEB-01"', [WEB1]),
        ("description = clone", []),
        ("description != clone*", [ZOE, HELLO, BACKUP]),
        ("description = *", ALL),
        ("description != *", []),
        ('description = ""', []),
        (r'"say \"HELLO\""', [HELLO]),
        (r'description = "say \"hello\" *"', [HELLO]),
        (r'description = "*\\*"', []),
        ("description = zoë*", [ZOE]),
        ("status = started", [ZOE, WEB1]),
        ("STATUS=Started", [ZOE, WEB1]),
        ("jobs.status = finished", [WEB2]),
        ("status != started", [HELLO, BACKUP, WEB2]),
        ("status = unknown", []),
        ("status = started or status = failed", [ZOE, BACKUP, WEB1]),
        ("status = failed or status = started and description = clone*", [BACKUP, WEB1]),
        ("(status = failed or status = started) and description = clone*", [WEB1]),
        ("status = started AND (clone OR zoë)", [ZOE, WEB1]),
        ("clone or clone", [WEB2, WEB1]),
        ("external = true", [ZOE, HELLO, WEB2, WEB1]),
        ("external != true", [BACKUP]),
        ("external=FALSE", [BACKUP]),
        ("auto_cleared = true", [BACKUP]),
        ("owner = anna", [WEB2, WEB1]),
        ("owner = ANNA", [WEB2, WEB1]),
        ("owner = *e*", [ZOE, HELLO, BACKUP]),
        ("owner != anna", [ZOE, HELLO, BACKUP]),
        ("owner = nobody", []),
        ("owner != nobody", ALL),
        ("entity = web-01", [HELLO, WEB1]),
        ("entity = WEB-01", [HELLO, WEB1]),
        ("entity = 1", [WEB1]),
        ("entity = *a*", [ZOE]),
        ("entity = web* and owner = bert", [HELLO]),
        ("entity = web-01 and entity = vda", []),
        ("entity = web-01 and hello", [HELLO]),
        ("entity != web-01", [ZOE, BACKUP, WEB2]),
        ("entity = nonesuch", []),
        ("entity = nonesuch or zoë", [ZOE]),
        ("correlation_id = c-7", [WEB2]),
        ("correlation_id = C-7", []),
        ("correlation_id != c-7", [ZOE, HELLO, BACKUP, WEB1]),
        ("correlation_id = c-*", [WEB2]),
        ("correlation_id = *-7", [WEB2]),
        ("correlation_id = c*7", [WEB2]),
        ("correlation_id = C-*", []),
        ("correlation_id = c_*", []),
        ("correlation_id = c?7", []),
        ("correlation_id = [c]*", []),
        ("correlation_id = é*", []),
        ("correlation_id = *", ALL),
        ("correlation_id = **", ALL),
        ("correlation_id != *", []),
        ("correlation_id != c-*", [ZOE, HELLO, BACKUP, WEB1]),
        ("action_type = AddExternalJob", ALL),
        ("action_type = AddExternal*", ALL),
        ("action_type = *Job", ALL),
        ("action_type = addexternal*", []),
        ("action_type != Add*", []),
        ("action_type != Copy*", ALL),
        ("action_type = CopyImage", []),
        ("start_time = 2026-11-21T12:00:00Z", [WEB1]),
        ("start_time != 2026-11-21T12:00:00Z", ALL[:-1]),
        ("start_time > 2026-11-21T12:01:00Z", [ZOE, HELLO, BACKUP]),
        ('start_time >= "2026-11-21 12:01:00" and start_time < 2026-11-21T15:03:00+03:00', [BACKUP, WEB2]),
        ("start_time > 2026-11-21", ALL),
        ("start_time < 2026-11-21", []),
        ("end_time = 2026-11-21T13:00:00Z", [HELLO, BACKUP, WEB2]),
        ("end_time > 2026-11-21T13:00:00Z", []),
        ("end_time >= 2026-11-21T13:00:00Z", [HELLO, BACKUP, WEB2]),
        ("end_time <= 2026-11-21T13:00:00Z", [HELLO, BACKUP, WEB2]),
        ("last_updated < 2026-11-21T12:03:00Z", [WEB1]),
        ("last_updated > 2026-11-21T12:03:00Z", [ZOE, HELLO, BACKUP, WEB2]),
        ("last_updated > 2027-01-01", []),
        ("end_time < 9999-12-31T23:59:59Z", [HELLO, BACKUP, WEB2]),
        ("sortby start_time", ALL[::-1]),
        ("clone sortby start_time asc", [WEB1, WEB2]),
        ("clone SORTBY start_time DESC", [WEB2, WEB1]),
        ("status != unknown sortby start_time", ALL[::-1]),
        ("page 1", ALL),
        ("page 2", []),
        ("clone sortby start_time desc page 999999", []),
        ('"page"', []),
        ('"say"', [HELLO]),
    ],
)
def test_what_a_query_finds(site: list[Job], query: str, expected: list[str]) -> None:
    assert found(query) == expected


def test_a_job_is_found_by_its_id(site: list[Job]) -> None:
    assert found(f"id = {site[0].pk}") == [WEB1]
    assert found(f"id = {site[0].pk.hex} and clone") == [WEB1]
    assert found(f"id != {site[0].pk}") == ALL[:-1]


def test_a_job_is_found_by_the_beginning_of_its_id(site: list[Job]) -> None:
    for key in ("0123abcd-4567-4000-8000-00000000ffff", "0123abce-0000-4000-8000-000000000000"):
        Job.objects.create(
            id=key, description=key[:8], start_time=NOW, last_sign=NOW, last_updated=NOW, correlation_id="c"
        )
    for query in ("id = 0123abcd*", "id = 0123ABCD-45*", "id = 0123abcd-4567-4000-8000-00000000fff*"):
        assert found(query) == ["0123abcd"]
    assert set(found("id = 0123abc*")) == {"0123abcd", "0123abce"}
    assert set(found("id != 0123abcd*")) == {*ALL, "0123abce"}
    assert len(found("id = *")) == 7


def test_a_search_finds_only_what_the_caller_sees(site: list[Job]) -> None:
    anna = make_actor(site[0].owner)
    for query in ("owner = bert", "entity = vda", "zoë", "status = failed", f"id = {site[4].pk}"):
        assert found(query, anna) == []
    assert found("", anna) == [WEB2, WEB1]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("stauts = started", "there is no column stauts; the columns are id, description, status"),
        ("status = done", "status done is not one of STARTED, FINISHED"),
        ("status < started", "status can be compared by = and != only"),
        ("external = maybe", "external is true or false, not maybe"),
        ("start_time > yesterday", "start_time yesterday is not a time such as"),
        ("start_time > 2026-02-30", "is not a time"),
        ("start_time > 0001-01-01T00:00:00+14:00", "is not a time"),
        ("start_time > 9999-12-31T23:59:59-14:00", "is not a time"),
        ("start_time > 10000-01-01", "is not a time"),
        ("id = 7", "id 7 is not a UUID, nor the beginning of one and *"),
        ("id = *7", "id *7 is not a UUID"),
        ("id = 7*7", "id 7*7 is not a UUID"),
        ("id = x*", "id x* is not a UUID"),
        (f"id = {'0' * 32}*", "is not a UUID"),
        ("id = ٣*", "id ٣* is not a UUID"),
        (r'"C:\"', "cannot be read from '\"C:"),
        ('"' + "\\" * 1999, "cannot be read from"),
        ("clone web", "'web' is not understood there; join conditions by 'and' or 'or'"),
        ("status =", "ends where a value for status is expected"),
        ("= started", "'=' is not understood there"),
        ("status = started and", "ends where a column is expected"),
        ("(status = started", "a parenthesis is not closed"),
        ("status = started)", "')' is not understood there"),
        ("()", "')' is not understood there"),
        ("(" * 21 + "a" + ")" * 21, "more than 20 parentheses"),
        ('"clone', "cannot be read from '\"clone' on"),
        ("sortby description", "sorted by start_time, not by description"),
        ("sortby", "ends where a column after sortby"),
        ("page 0", "page 0 is not a number"),
        ("page 1000000", "page 1000000 is not a number"),
        ("page ٣", "is not a number"),
        ("a\0b", "has the character U+0000 at position 1"),
        ("\ud800", "has the character U+D800"),
        ("x" * 2001, "has 2001 characters; at most 2000"),
    ],
)
def test_a_wrong_query_is_refused_with_the_reason(query: str, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        search.parse(query)
    assert problem in str(caught.value)
    assert caught.value.field == "search"


words = st.sampled_from(
    [
        *columns.COLUMNS,
        *("and", "or", "sortby", "page", "asc", "desc", "(", ")", "=", "!=", "<", "<=", ">", ">="),
        *(
            "started",
            "unknown",
            "true",
            "false",
            "anna",
            "web*",
            "*",
            "**",
            "a*b*c",
            "%",
            "_",
            "\\",
            "[a-z]+(",
            "$^",
        ),
        *(
            "2026-11-21",
            "2026-11-21T12:00:00Z",
            "9999-12-31",
            "0001-01-01",
            "99999999999999999999",
            "1e999",
            "-1",
        ),
        *(
            "00000000-0000-0000-0000-000000000000",
            "'",
            '"a b"',
            '""',
            "!",
            "ß",
            "İ",
            "🚀",
            "\u202e",
            "' OR 1=1 --",
        ),
    ]
)
queries = st.one_of(
    st.text(max_size=60),
    st.lists(words, max_size=25).map(" ".join),
    st.lists(st.one_of(words, st.text(max_size=4)), max_size=12).map("".join),
)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@example(" or ".join(["a"] * 400))
@example(" or ".join(f"status=started and owner={n}" for n in range(60)))
@example(" and ".join(["(a or b)"] * 30))
@example("a" + "*a" * 900)
@example("description = " + "%" * 1900)
@example("(((((((((((((((((((a)))))))))))))))))))")
@given(query=queries)
def test_any_text_is_a_search_that_runs_or_is_refused(query: str) -> None:
    if not Job.objects.exists():
        make_job(description="a" * 5_000, entities=[EntityName("vm", "web-01")])
    try:
        asked = search.parse(query)
    except Invalid:
        return
    seen = selected.visible(SYSTEM)
    page, _ = selected.page(
        seen, limit=10, any_of=asked.any_of, oldest_first=asked.oldest_first, offset=10 * (asked.page - 1)
    )
    if asked.page == 1:
        assert {job.pk for job in page} == set(
            Job.objects.filter(seen, asked.where).values_list("pk", flat=True)
        )


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_is_refused(text: str) -> None:
    try:
        cursor = selected.Cursor.parse(text)
    except Invalid:
        return
    selected.page(selected.visible(make_actor()), limit=1, after=cursor)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-21"])
def test_a_cursor_with_a_time_beyond_the_calendar_is_refused_or_read(time: str) -> None:
    import base64

    text = base64.urlsafe_b64encode(f"{time} 00000000-0000-0000-0000-000000000000".encode()).decode()
    if time.startswith("2026"):
        assert selected.Cursor.parse(text).start_time == datetime(2026, 11, 21, tzinfo=UTC)
    else:
        with pytest.raises(Invalid, match="after"):
            selected.Cursor.parse(text)


# Letters


CASES = [
    ("Übertragung", "übertragung"),
    ("übertragung", "ÜBERTRAGUNG"),
    ("Резерв", "рЕЗЕРВ"),  # noqa: RUF001 - Cyrillic is meant
    ("střední", "STŘEDNÍ"),
    ("Οδυσσεύς", "ΟΔΥΣΣΕΎΣ"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("Հայաստան", "ՀԱՅԱՍՏԱՆ"),
    ("Ⰳⰾⰰⰳⱁⰾⰻⱌⰰ", "ⰳⰾⰰⰳⱁⰾⰻⱌⰰ"),  # Glagolitic
    ("ᏣᎳᎩ", "ꮳꮃꭹ"),  # Cherokee
    ("𞤆𞤵𞤤𞤢𞤪", "𞤨𞤵𞤤𞤢𞤪"),  # Adlam
    ("ПОРТ-Ё", "порт-ё"),
    ("naïve [x] ? é", "NAÏVE [X] ? É"),
]


@pytest.mark.parametrize(("stored", "asked"), CASES)
@pytest.mark.parametrize("few", [0, 2000])
def test_letters_of_every_script_match_in_any_case(
    stored: str, asked: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selected, "FEW", few)
    owner = make_actor(make_user(stored))
    make_job(owner, description=f"-{stored}-", entities=[EntityName("vm", "7", stored)])
    make_job(description="another", entities=[EntityName("vm", "8", "another")])
    middle = asked[1:-1]
    for query in (
        f'"{asked}"',
        f'"{middle}"',
        f'description = "-{asked}-"',
        f'description = "*{asked[0]}*{asked[-1]}*"',
        f'owner = "{asked}"',
        f'owner = "{asked[:2]}*"',
        f'entity = "{asked}"',
        f'entity = "*{middle}*"',
        f'entity = 7 and "{asked}"',
    ):
        assert found(query) == [f"-{stored}-"], query
    for query in (f'description != "*{asked}*"', f'owner != "{asked}"', f'entity != "{asked}"'):
        assert found(query) == ["another"], query


def test_a_letter_is_no_other_one() -> None:
    make_job(description="Straße Ubertragung istanbul")
    for query in ("strasse", "übertragung", '"[s]traße"', '"stra?e"'):
        assert found(query) == [], query
    assert found("STRAßE") == found("ISTANBUL") == ["Straße Ubertragung istanbul"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL knows letters by itself")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_text_is_found_by_index_and_by_walk_however_it_is_spelled(data: st.DataObject) -> None:
    letters = st.characters(categories=["Lu", "Ll", "Lt"], max_codepoint=0x1FFFF)
    text = data.draw(st.text(letters, min_size=3, max_size=8))
    spelled = "".join(data.draw(st.sampled_from(in_any_case(letter))) for letter in text)
    job = make_job(description=text)
    asked = search.parse(f'"{spelled}"')
    seen = selected.visible(SYSTEM)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(selected, "FEW", 0)
        page, _ = selected.page(seen, limit=500, any_of=asked.any_of)
    assert job in page
    assert Job.objects.filter(asked.where, pk=job.pk).exists()


# The rest


def test_a_backslash_in_quotes_is_one_and_before_a_quote_makes_it_a_sign() -> None:
    make_job(description=r'C:\temp "x\"')
    for query in (r'"C:\temp"', r'"C:\\temp"', r'"\"x\\\""', r'description = "C:\temp \"x\\\""'):
        assert found(query) == [r'C:\temp "x\"'], query
    for query in (r'"C:\\\\temp"', r'"\"C"'):
        assert found(query) == [], query


def test_a_sign_of_the_language_is_found_in_quotes() -> None:
    make_job(description="a <= b (c) and page")
    for query in ('"<="', '"(c)"', '"and"', '"page"', '"and page"'):
        assert found(query) == ["a <= b (c) and page"]


def test_narrowing_a_search_keeps_its_order_and_page(site: list[Job]) -> None:
    asked = search.parse("clone or zoë sortby start_time").also(columns.containing("web"))
    narrowed = asked.also(columns.COLUMNS["status"]("status", "=", "started"))
    assert (narrowed.oldest_first, narrowed.page) == (True, 1)
    page, _ = selected.page(selected.visible(SYSTEM), limit=9, any_of=narrowed.any_of)
    assert [job.description for job in page] == [WEB1]


def test_many_alternatives_are_asked_for_at_once(django_assert_max_num_queries: Any) -> None:
    query = " or ".join(f"status = {status}" for status in ["started", "failed"] * 50)
    with django_assert_max_num_queries(3 + columns.MOST_PARTS):
        found(query)
