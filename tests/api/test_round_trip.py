"""What a client sends comes back equal, whichever format and dialect (S40): a property of every field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.ovirt.dialects import DIALECTS
from api.ovirt.inputs import end_fields, identifier, job_fields, progress_fields, step_fields
from api.wire import Body
from taskmonitor.errors import Invalid
from taskmonitor.models import Job, Step, StepType
from taskmonitor.services.text import checked
from tests.api.caller import JSON, XML, Caller, read
from tests.api.test_xml import WRITABLE, parse
from tests.factories import make_job, make_step

FEW = settings(max_examples=max(settings.get_profile("api").max_examples // 8, 1))
TEXTS = WRITABLE.filter(lambda text: text.strip())
TIMES = st.datetimes(
    datetime.fromisoformat("2100-01-01"), datetime.fromisoformat("9999-12-30"), timezones=st.timezones()
)
ENTITIES = st.lists(
    st.builds(
        lambda kind, key, name: {"@type": kind, "id": key, "name": name},
        st.sampled_from(["vm", "disk", "réseau", "a b"]),
        TEXTS.map(lambda text: text[:255]).filter(str.strip),
        TEXTS.map(lambda text: text[:255]).filter(str.strip),
    ),
    max_size=3,
    unique_by=lambda entity: (entity["@type"], entity["id"]),
)
JOBS = st.fixed_dictionaries(
    {"description": TEXTS},
    optional={
        "auto_cleared": st.booleans(),
        "heartbeat_limit": st.integers(1, 366 * 24 * 3600),
        "deadline": TIMES,
        "entities": ENTITIES.filter(bool).map(lambda entities: {"entity": entities}),
    },
)
STEPS = st.fixed_dictionaries(
    {"description": TEXTS, "type": st.sampled_from(["VALIDATING", "EXECUTING", "FINALIZING"])},
    optional={"status": st.sampled_from(["STARTED", "FINISHED", "FAILED", "ABORTED", "UNKNOWN"])},
)


def milliseconds(value: datetime) -> str:
    """As the API writes it."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def as_text(value: Any) -> Any:
    """As `read` has it: every scalar as text, entities in the order of the answer."""
    if isinstance(value, dict):
        return {name.lstrip("@"): as_text(member) for name, member in value.items()}
    if isinstance(value, list):
        ordered = sorted((as_text(one) for one in value), key=lambda one: (one["type"], one["id"]))
        return ordered[0] if len(ordered) == 1 else ordered
    if isinstance(value, datetime):
        return milliseconds(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def written(members: dict[str, Any]) -> dict[str, Any]:
    """The members as this client would write them: times as ISO 8601 with whatever zone it lives in."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in members.items()
    }


def entities_alike(told: dict[str, Any]) -> dict[str, Any]:
    """JSON has a list also for one entity, XML only for several."""
    found = told.get("entities", {}).get("entity")
    if isinstance(found, list) and len(found) == 1:
        told["entities"]["entity"] = found[0]
    return told


@pytest.mark.django_db
@pytest.mark.mission("S40", "S41", "S64", "S73")
@pytest.mark.parametrize("format_", [XML, JSON])
@FEW
@given(data=st.data())
def test_a_job_comes_back_as_it_was_sent(owner: Any, format_: str, data: st.DataObject) -> None:
    sent, caller = data.draw(JOBS), Caller(owner, format_)
    told = read(caller.post("jobs", "job", written(sent)))
    expected = as_text(sent)
    again = entities_alike(read(caller.get(told["href"])))
    assert {name: again[name] for name in expected} == expected
    assert entities_alike(told) == again


@pytest.mark.django_db
@pytest.mark.mission("S40", "S41", "S66", "S73")
@pytest.mark.parametrize("format_", [XML, JSON])
@FEW
@given(data=st.data())
def test_a_step_comes_back_as_it_was_sent(owner: Any, format_: str, data: st.DataObject) -> None:
    sent, caller, job = data.draw(STEPS), Caller(owner, format_), make_job()
    told = read(caller.post(f"jobs/{job.pk}/steps", "step", sent))
    assert {name: told[name] for name in sent} == sent
    assert read(caller.get(told["href"])) == told


@pytest.mark.mission("S40", "D1")
@given(data=st.data(), dialect=st.sampled_from(list(DIALECTS)))
def test_the_mappers_both_ways(data: st.DataObject, dialect: str) -> None:
    """What a dialect writes of a job or step, the inputs of that dialect read again, field by field."""
    now = datetime.now(UTC)
    job = Job(
        description=data.draw(TEXTS),
        auto_cleared=data.draw(st.booleans()),
        status=data.draw(st.sampled_from(["STARTED", "FINISHED", "FAILED", "ABORTED", "UNKNOWN"])),
        start_time=now,
        last_updated=now,
    )
    step = Step(
        job=job,
        description=data.draw(TEXTS),
        type=data.draw(st.sampled_from(StepType.values[:3])),
        number=data.draw(st.integers(0, 2**31)),
        status=job.status,
        start_time=now,
        parent_step_id=data.draw(st.none() | st.uuids()),
    )
    module = DIALECTS[dialect]
    spelled = {name: value for name, value in module.step(step, "/api").items() if value is not None}
    found = step_fields(spelled, job.pk, dialect)
    assert found["description"] == step.description
    assert found["type"] == step.type
    assert found["parent_step_id"] == step.parent_step_id
    assert found["status"] == (step.status if dialect == "design" else "STARTED")
    assert identifier("id", spelled["id"]) == step.pk
    if job.status in ("FINISHED", "FAILED", "ABORTED"):
        assert end_fields({"status": module.status(job.status)})["status"] == job.status


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), TEXTS.filter(lambda text: len(text) < 1000))
def test_progress_is_read_as_it_was_sent(current: int, end: int, text: str) -> None:
    for value in (str, int):
        given_ = {"current": value(current), "end": value(end), "text": text}
        assert progress_fields(given_) == {"current": current, "end": end, "text": text}


@given(
    st.dictionaries(
        st.sampled_from(["description", "auto_cleared", "heartbeat_limit", "deadline", "entities"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["entity", "id", "type", "name", "#text", "state"]), inner, max_size=3
                )
            ),
            max_leaves=6,
        ),
    )
)
def test_a_job_of_any_shape_is_read_or_refused(members: dict[str, Any]) -> None:
    try:
        found = job_fields(members, "design")
    except Invalid as refusal:
        assert str(refusal)  # noqa: PT017 - either is right
    else:
        assert isinstance(found["description"], str)
        assert found["deadline"] is None or found["deadline"].utcoffset() == timedelta(0)


def test_texts_that_are_kept_are_those_that_can_be_written() -> None:
    """The rule of the core and the alphabet of these tests are one."""
    assert checked("text", parse("<a>\t&#13;\ud7ff\ue000\ufffd\U0010ffff</a>").members["#text"])


def test_a_body_names_its_root_in_xml_alone() -> None:
    assert parse("<job/>") == Body("job", {"#text": ""})


@pytest.mark.django_db
@pytest.mark.mission("S40")
@pytest.mark.parametrize(
    "text",
    [
        "x" * 65_536,
        "😀" * 20_000,
        "e" + "\u0301" * 50_000,
        "]]> <![CDATA[ &amp; <!-- --> <?x?>",
        " leading and trailing \n",
        "line\r\nline\rline\nline\ttab",
        "\u202egnol ot thgir\u202c",
        "{{7*7}} ${7*7} <script>alert(1)</script> =1+1 '; DROP TABLE job; --",
        "\ufeffmark \u2028 \u2029 \x85 \u200b",
        "null",
        "true",
        "007",
    ],
    ids=range(12),
)
def test_strange_texts_come_back_byte_for_byte(either: Caller, text: str) -> None:
    """H5, H7, H8."""
    told = read(either.post("jobs", "job", {"description": text}))
    assert told["description"] == text
    assert read(either.get(told["href"]))["description"] == text
    step = make_step(Job.objects.get(), description=text)
    assert read(either.get(f"{told['href']}/steps/{step.pk}"))["description"] == text
