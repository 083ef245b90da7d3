"""POST jobs (oVirt: AddExternalJob)."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from taskmonitor.models import Job
from tests.api.caller import JSON, XML, Caller, fault, read


@pytest.mark.mission("S14", "S19", "S64", "S41")
def test_a_job_is_made_from_a_description(either: Caller) -> None:
    response = either.post("jobs", "job", {"description": "Clone web-01", "auto_cleared": True})
    job = Job.objects.get()
    assert response.status_code == 201
    assert read(response)["id"] == str(job.pk)
    assert response["Location"] == f"http://testserver/api/jobs/{job.pk}"
    assert (job.description, job.auto_cleared, job.status) == ("Clone web-01", True, "STARTED")


@pytest.mark.mission("S7", "S48", "S49", "S50", "S53", "D6", "D7")
def test_what_the_server_says_of_a_new_job(either: Caller) -> None:
    before = timezone.now()
    response = either.post("jobs", "job", {"description": "Clone web-01"})
    job = Job.objects.get()
    assert (job.external, job.auto_cleared, job.owner, job.end_time) == (True, False, either.user, None)
    assert before <= job.start_time == job.last_updated <= timezone.now()
    told = read(response)
    assert told["action_type"] == "AddExternalJob"
    assert told["owner"] == {
        "id": str(either.user.pk),
        "href": f"/api/users/{either.user.pk}",
        "name": "plugin",
    }
    assert "end_time" not in told


@pytest.mark.mission("S20")
@pytest.mark.parametrize("members", [{}, {"auto_cleared": "true"}])
def test_a_job_needs_a_description(either: Caller, members: dict[str, str]) -> None:
    response = either.post("jobs", "job", members)
    assert fault(response) == (400, "Incomplete parameters", "Job [description] required for add")
    assert not Job.objects.exists()


@pytest.mark.mission("S20")
@pytest.mark.parametrize("description", ["", " ", "\n\t "])
def test_a_description_is_not_blank(either: Caller, description: str) -> None:
    response = either.post("jobs", "job", {"description": description})
    assert fault(response) == (400, "Invalid value", "description: cannot be empty.")
    assert not Job.objects.exists()


@pytest.mark.parametrize("version", ["3", "4"])
def test_a_blank_description_is_refused_in_the_engines_words(either: Caller, version: str) -> None:
    response = either.post("jobs", "job", {"description": " "}, Version=version)
    assert fault(response)[:2] == (400, "Operation Failed")
    assert "Description can not be empty" in fault(response)[2]


def test_who_makes_a_job_does_not_choose_what_the_server_knows(either: Caller) -> None:
    """Mass assignment (H14): the provenance of a job cannot be forged."""
    forged = {
        "description": "Clone web-01",
        "id": "00000000-0000-0000-0000-000000000001",
        "external": "false",
        "is_external": "false",
        "owner": {"id": "1"},
        "start_time": "2001-01-01T00:00:00Z",
        "end_time": "2001-01-01T00:00:00Z",
        "last_updated": "2001-01-01T00:00:00Z",
        "status": {"state": "FINISHED"},
        "action_type": "RemoveVm",
        "correlation_id": "forged",
        "version": "7",
        "steps_total": "7",
        "cleared_at": "2001-01-01T00:00:00Z",
    }
    response = either.post("jobs", "job", forged)
    job = Job.objects.get()
    assert response.status_code == 201
    assert job.pk != UUID(forged["id"])
    assert (job.external, job.owner, job.status, job.end_time) == (True, either.user, "STARTED", None)
    assert (job.action_type, job.version, job.steps_total, job.cleared_at) == ("AddExternalJob", 1, 0, None)
    assert timezone.now() - job.start_time < timedelta(minutes=1)
    assert job.correlation_id != "forged"


def test_a_correlation_id_is_kept_and_echoed(either: Caller) -> None:
    response = either.post("jobs", "job", {"description": "Clone"}, Correlation_Id="night-run_7")
    assert response["Correlation-Id"] == "night-run_7"
    assert Job.objects.get().correlation_id == "night-run_7"
    assert either.post("jobs?correlation_id=q1", "job", {"description": "Clone"})["Correlation-Id"] == "q1"
    without = either.post("jobs", "job", {"description": "Clone"})
    assert Job.objects.filter(correlation_id=without["Correlation-Id"]).count() == 1


@pytest.mark.parametrize("value", ["a b", "x" * 51, "é", "a\tb", "a;b"])
def test_a_correlation_id_that_cannot_be_echoed_is_refused(either: Caller, value: str) -> None:
    response = either.post("jobs", "job", {"description": "Clone"}, Correlation_Id=value)
    assert fault(response)[0] == 400
    assert "Correlation-Id" in fault(response)[2]
    assert not Job.objects.exists()


def test_entities_limits_and_the_wrapped_json_form(plugin: Caller) -> None:
    text = (
        "<job><description>Clone</description><heartbeat_limit>60</heartbeat_limit>"
        '<deadline>2099-01-01T02:00:00+02:00</deadline><entities><entity type="vm" id="web-01"><name>Web</name>'
        "</entity><entity><type>disk</type><id>d1</id></entity></entities></job>"
    )
    told = read(plugin.send("POST", "jobs", text))
    assert told["entities"] == {
        "entity": [{"type": "disk", "id": "d1", "name": "d1"}, {"type": "vm", "id": "web-01", "name": "Web"}]
    }
    assert (told["heartbeat_limit"], told["deadline"]) == ("60", "2099-01-01T00:00:00.000Z")
    text = '{"job": {"description": "Clone", "entities": [{"type": "vm", "id": "web-01", "name": "Web"}]}}'
    told = read(plugin.send("POST", "jobs", text, Content_Type=JSON, Accept=JSON))
    assert told["entities"]["entity"] == [{"type": "vm", "id": "web-01", "name": "Web"}]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"auto_cleared": "maybe"}, "auto_cleared: Value 'maybe' isn't a valid boolean"),
        ({"auto_cleared": ""}, "auto_cleared: Value ''"),
        ({"heartbeat_limit": "0"}, "heartbeat_limit: must be 1 to"),
        ({"heartbeat_limit": "-1"}, "heartbeat_limit: '-1' is not a whole number"),
        ({"heartbeat_limit": "9" * 20}, "heartbeat_limit: '99999999999999999999' is not"),
        ({"heartbeat_limit": "٣"}, "heartbeat_limit: '٣' is not"),
        ({"deadline": "2001-01-01T00:00:00Z"}, "deadline: must be in the future"),
        ({"deadline": "tomorrow"}, "deadline: 'tomorrow' is not a time"),
        ({"deadline": "10000-01-01T00:00:00Z"}, "deadline: '10000-01-01T00:00:00Z' is not a time"),
        ({"deadline": "9999-12-31T23:59:59-14:00"}, "deadline: '9999-12-31T23:59:59-14:00' is not a time"),
        ({"deadline": "0001-01-01T00:00:00+14:00"}, "deadline: '0001-01-01T00:00:00+14:00' is not a time"),
        ({"deadline": "2026-02-30T00:00:00Z"}, "deadline: '2026-02-30T00:00:00Z' is not a time"),
        ({"entities": "vm"}, "entities: must hold entity elements"),
        ({"entities": {"entity": {"type": "vm"}}}, "Entity [id] required for add"),
        ({"entities": {"entity": {"type": "v" * 51, "id": "1"}}}, "entity type: has 51 characters"),
        ({"description": {"b": "bold"}}, "description: must be one text"),
        ({"description": "x" * 65_537}, "description: has 65537 characters; at most 65536 are kept"),
    ],
)
def test_a_wrong_value_is_named(either: Caller, members: dict[str, object], words: str) -> None:
    response = either.post("jobs", "job", {"description": "Clone", **members})
    status, _, detail = fault(response)
    assert (status, detail[: len(words)]) == (400, words)
    assert not Job.objects.exists()


@pytest.mark.parametrize(("written", "other"), [(XML, JSON), (JSON, XML)])
@pytest.mark.mission("S73")
def test_one_may_write_in_one_format_and_read_the_other(plugin: Caller, written: str, other: str) -> None:
    plugin.format = written
    response = plugin.post("jobs", "job", {"description": "Clone"}, Accept=other)
    assert response["Content-Type"].startswith(other)
    assert read(response)["description"] == "Clone"
