"""Signs of life, progress, limits (D8, D13)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from taskmonitor import upkeep
from taskmonitor.models import Job, Step
from taskmonitor.services.portions import Portions
from tests.api.caller import Caller, fault, read
from tests.factories import make_job, make_step


@pytest.fixture
def job(owner: object) -> Job:
    return make_job(now=timezone.now())


@pytest.mark.mission("D8", "D13")
def test_a_silent_job_is_lost_and_comes_back_on_a_sign_of_life(either: Caller) -> None:
    told = read(either.post("jobs", "job", {"description": "Clone", "heartbeat_limit": "60"}))
    path, now = told["href"], timezone.now()
    upkeep.tick(now + timedelta(seconds=50), Portions(60))
    assert read(either.get(path))["status"] == "STARTED"
    upkeep.tick(now + timedelta(seconds=61), Portions(60))
    lost = read(either.get(path))
    assert (lost["status"], "end_time" in lost) == ("UNKNOWN", False)
    assert lost["reason"].startswith("No sign of life for 60 s; the last came at 20")
    beat = either.post(f"{path}/heartbeat", "action")
    assert (beat.status_code, read(beat)["status"]) == (200, "complete")
    again = read(either.get(path))
    assert (again["status"], "reason" in again) == ("STARTED", False)


@pytest.mark.mission("D13")
@pytest.mark.parametrize("sign", ["heartbeat", "progress", "steps"])
def test_whatever_a_plug_in_reports_is_a_sign_of_life(either: Caller, job: Job, sign: str) -> None:
    Job.objects.update(status="UNKNOWN", reason="Lost", heartbeat_limit=60)
    root, members = {
        "heartbeat": ("action", {}),
        "progress": ("progress", {"current": "1"}),
        "steps": ("step", {"description": "Copy", "type": "EXECUTING"}),
    }[sign]
    either.post(f"jobs/{job.pk}/{sign}", root, members)
    job.refresh_from_db()
    assert (job.status, job.reason) == ("STARTED", "")
    assert job.stale_at is not None
    assert job.stale_at - job.last_sign == timedelta(seconds=60)


@pytest.mark.mission("D13")
def test_a_job_past_its_deadline_is_lost(either: Caller) -> None:
    deadline = (timezone.now() + timedelta(hours=1)).isoformat()
    path = read(either.post("jobs", "job", {"description": "Clone", "deadline": deadline}))["href"]
    upkeep.tick(timezone.now() + timedelta(hours=1, seconds=1), Portions(60))
    lost = read(either.get(path))
    assert lost["status"] == "UNKNOWN"
    assert lost["reason"].startswith("It had not ended by its deadline, ")
    assert either.post(f"{path}/end", "action").status_code == 200
    assert read(either.get(path))["status"] == "FINISHED"


@pytest.mark.mission("D13")
def test_a_job_without_limits_is_never_lost(either: Caller, job: Job) -> None:
    upkeep.tick(timezone.now() + timedelta(days=300), Portions(60))
    assert read(either.get(f"jobs/{job.pk}"))["status"] == "STARTED"


@pytest.mark.mission("D8")
def test_progress_of_a_job_and_of_a_step(either: Caller, job: Job) -> None:
    step = make_step(job)
    for path in (f"jobs/{job.pk}", f"jobs/{job.pk}/steps/{step.pk}"):
        response = either.post(
            f"{path}/progress", "progress", {"current": "40", "end": "100", "text": "40 GB"}
        )
        assert (response.status_code, read(response)["status"]) == (200, "complete")
        assert read(either.get(path))["progress"] == {"current": "40", "end": "100", "text": "40 GB"}
        either.post(f"{path}/progress", "progress", {"current": "50"})
        assert read(either.get(path))["progress"] == {"current": "50", "end": "100", "text": "40 GB"}
    assert read(either.get(f"jobs/{job.pk}/steps/{step.pk}", Version="4"))["progress"] == "50"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "progress: give current, end or text."),
        ({"current": "-1"}, "current: '-1' is not a whole number from 0 on."),
        ({"current": "1.5"}, "current: '1.5' is not"),
        ({"current": "many"}, "current: 'many' is not"),
        ({"current": "True"}, "current: 'True' is not"),
        ({"current": "5", "end": "4"}, "current: 5 is beyond the end, 4."),
        ({"end": str(2**63)}, "end: must be a whole number from 0 to 9223372036854775807."),
        ({"current": "9" * 30}, "current: '999999999999999999999999999999' is not"),
        ({"text": "x" * 1001}, "text: has 1001 characters; at most 1000 are kept."),
    ],
)
def test_wrong_progress_is_refused(either: Caller, job: Job, members: dict[str, str], words: str) -> None:
    status, _, detail = fault(either.post(f"jobs/{job.pk}/progress", "progress", members))
    assert (status, detail[: len(words)]) == (400, words)
    job.refresh_from_db()
    assert (job.progress_current, job.progress_end, job.progress_text) == (None, None, "")


def test_the_largest_progress_is_kept(either: Caller, job: Job) -> None:
    most = str(2**63 - 1)
    either.post(f"jobs/{job.pk}/progress", "progress", {"current": most, "end": most})
    assert read(either.get(f"jobs/{job.pk}"))["progress"] == {"current": most, "end": most}


@pytest.mark.mission("D12")
def test_nothing_is_reported_on_what_has_ended(either: Caller, job: Job) -> None:
    step = make_step(job)
    either.post(f"jobs/{job.pk}/steps/{step.pk}/end", "action")
    told = fault(either.post(f"jobs/{job.pk}/steps/{step.pk}/progress", "progress", {"current": "1"}))
    assert told[0] == 409
    assert told[2].startswith("This step is FINISHED since ")
    either.post(f"jobs/{job.pk}/end", "action")
    for path, root, members in (("heartbeat", "action", {}), ("progress", "progress", {"current": "1"})):
        status, _, words = fault(either.post(f"jobs/{job.pk}/{path}", root, members))
        assert (status, words[:27]) == (409, "This job is FINISHED since ")
    assert Step.objects.get().progress_current is None
