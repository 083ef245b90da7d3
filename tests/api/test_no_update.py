import pytest

from tests.api.caller import Caller, fault, read
from tests.factories import make_job, make_step


@pytest.mark.mission("S30", "D8")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "FOO"])
def test_jobs_and_steps_cannot_be_updated(either: Caller, method: str) -> None:
    job = make_job()
    step = make_step(job)
    for path, allowed in (
        ("jobs", {"GET", "POST", "HEAD", "OPTIONS"}),
        (f"jobs/{job.pk}", {"GET", "HEAD", "OPTIONS"}),
        (f"jobs/{job.pk}/end", {"POST", "OPTIONS"}),
        (f"jobs/{job.pk}/steps", {"GET", "POST", "HEAD", "OPTIONS"}),
        (f"jobs/{job.pk}/steps/{step.pk}", {"GET", "HEAD", "OPTIONS"}),
        (f"jobs/{job.pk}/steps/{step.pk}/end", {"POST", "OPTIONS"}),
    ):
        if method == "get" and "GET" in allowed:
            continue
        response = either.send(method, path, "<job><description>Another</description></job>")
        assert fault(response)[:2] == (405, "Method not allowed"), path
        assert set(response["Allow"].split(", ")) == allowed
    job.refresh_from_db()
    assert (job.description, job.version) == ("Clone web-01", 2)


@pytest.mark.mission("S30")
def test_no_update_is_advertised(either: Caller) -> None:
    job = make_job()
    step = make_step(job)
    for path, expected in (
        (f"jobs/{job.pk}", {"clear", "end", "heartbeat", "progress"}),
        (f"jobs/{job.pk}/steps/{step.pk}", {"end", "progress"}),
    ):
        offered = {link["rel"] for link in read(either.get(path))["actions"]["link"]}
        assert offered == expected
        for link in read(either.get(path))["actions"]["link"]:
            assert either.send("OPTIONS", link["href"]).status_code == 200
