"""What oVirt's Python SDK 3.6.9.2 sends, recorded from it under Python 2.7, and what it needs of the answers."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.raw import DECLARATION, Answer, basic, line

NOWHERE = "00000000-0000-0000-0000-000000000000"
ADD_JOB = "<job>\n    <description>v3 é</description>\n    <auto_cleared>true</auto_cleared>\n</job>\n"
ADD_STEP = "<step>\n    <description>one</description>\n    <type>EXECUTING</type>\n</step>\n"
ADD_SUB_STEP = """<step>
    <description>two</description>
    <parent_step id="{}"/>
    <type>VALIDATING</type>
    <status>
        <state>FINISHED</state>
    </status>
</step>
"""
END_STEP = "<action>\n    <succeeded>{}</succeeded>\n</action>\n"
END_JOB = """<action>
    <force>false</force>
    <status>
        <state>{}</state>
    </status>
</action>
"""
CLEAR = "<action>\n    <async>true</async>\n</action>\n"
Send = Callable[..., Answer]


@pytest.fixture(params=["/ovirt-engine/api", "/api"])
def base(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def send(origin: str, base: str) -> Iterator[Send]:
    """Send one request after the other on one connection; every answer must be one that the SDK can read."""
    with line(origin) as open_line:

        def send(method: str, path: str, body: str = "", **first: str) -> Answer:
            headers = {
                "Authorization": basic("plugin@internal"),
                "User-Agent": "PycURL/7.43.0.5 libcurl/7.88.1 OpenSSL/3.0.19 zlib/1.2.13 brotli/1.0.9",
                "Prefer": "persistent-auth",
                **{name.replace("_", "-"): value for name, value in first.items()},
                "Version": "3",
                "Content-Type": "application/xml",
                "Accept": "application/xml",
                "Filter": "False",
            }
            answer = open_line.send(method, base + path, headers, body.encode())
            assert answer.kind.startswith("application/xml")
            assert answer.body.startswith(DECLARATION)
            for element in answer.xml.findall(".//*"):
                assert element.text or len(element) or element.attrib, "an element without value"
                assert element.get("href", f"{base}/").startswith(f"{base}/")
            return answer

        yield send


def state(answer: Answer) -> Any:
    return answer.xml.findtext("status/state")


def test_the_root_has_its_version_in_attributes(send: Send) -> None:
    for _ in range(2):  # the SDK asks twice
        answer = send("GET", "")
        assert answer.status == 200
    version = answer.xml.find("product_info/version")
    assert version is not None
    assert {name: int(value) for name, value in version.items()} == {
        "major": 4,
        "minor": 5,
        "build": 0,
        "revision": 0,
    }
    assert "jobs" in {link.get("rel") for link in answer.xml.findall("link")}


@pytest.mark.mission("S19", "S27", "S47", "S60", "S69", "D1", "D9")
def test_a_plugin_works_from_adding_to_clearing(send: Send, base: str) -> None:
    added = send(
        "POST", "/jobs", ADD_JOB, Correlation_Id="abc-1", Expect="201-created", X_Ovirt_Expect="201-created"
    )
    assert (added.status, state(added), added.xml.findtext("description")) == (201, "STARTED", "v3 é")
    assert added.headers["Correlation-Id"] == "abc-1"
    assert (added.xml.findtext("external"), added.xml.findtext("auto_cleared")) == ("true", "true")
    assert added.headers["Location"].endswith(added.xml.get("href", "missing"))
    job = f"/jobs/{added.xml.get('id')}"

    one = send("POST", f"{job}/steps", ADD_STEP)
    two = send("POST", f"{job}/steps", ADD_SUB_STEP.format(one.xml.get("id")))
    for step, kind in ((one, "executing"), (two, "validating")):
        assert (step.status, state(step), step.xml.findtext("type")) == (201, "STARTED", kind)
        assert step.xml.find("job").get("id") == added.xml.get("id")
    assert two.xml.find("parent_step").attrib == one.xml.attrib
    assert len(send("GET", f"{job}/steps;max=1").xml) == 1
    assert len(send("GET", f"{job}/steps").xml) == 2

    for done in (
        send("POST", f"{job}/steps/{two.xml.get('id')}/end;async=false", END_STEP.format("true")),
        send("POST", f"{job}/end;async=true", END_JOB.format("FAILED")),
    ):
        assert (done.status, done.xml.tag, state(done)) == (200, "action", "complete")
    ended = send("GET", job)
    assert state(ended) == "FAILED"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ended.xml.findtext("end_time") or "")
    assert [state_of.text for state_of in send("GET", f"{job}/steps").xml.iter("state")] == [
        "FAILED",
        "FINISHED",
    ]
    cleared = send("POST", f"{job}/clear", CLEAR)
    assert (cleared.status, state(cleared)) == (200, "complete")
    listed = send("GET", "/jobs;case_sensitive=True").xml
    assert added.xml.get("id") not in {one.get("id") for one in listed}


@pytest.mark.parametrize("given", ["FINISHED", "FAILED", "ABORTED", "finished", "Aborted"])
def test_a_job_ends_as_it_is_told(send: Send, given: str) -> None:
    job = f"/jobs/{send('POST', '/jobs', ADD_JOB).xml.get('id')}"
    send("POST", f"{job}/steps", ADD_STEP)
    assert send("POST", f"{job}/end", END_JOB.format(given)).status == 200
    assert state(send("GET", job)) == given.upper()
    assert [one.text for one in send("GET", f"{job}/steps").xml.iter("state")] == [given.upper()]


@pytest.mark.mission("D11")
def test_a_failed_step_fails_its_job(send: Send) -> None:
    job = f"/jobs/{send('POST', '/jobs', ADD_JOB).xml.get('id')}"
    bad, _ = (send("POST", f"{job}/steps", ADD_STEP).xml.get("id") for _ in range(2))
    send("POST", f"{job}/steps/{bad}/end", END_STEP.format("false"))
    assert state(send("GET", job)) == "FAILED"
    assert [one.text for one in send("GET", f"{job}/steps").xml.iter("state")] == ["FAILED", "FAILED"]


def test_max_in_the_path_limits_the_list(send: Send) -> None:
    added = [send("POST", "/jobs", ADD_JOB).xml.get("id") for _ in range(3)]
    assert [job.get("id") for job in send("GET", "/jobs;max=2").xml] == added[:0:-1]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason", "detail"),
    [
        ("GET", f"/jobs/{NOWHERE}", "", 404, "Not found", f"Job {NOWHERE} does not exist."),
        ("POST", f"/jobs/{NOWHERE}/end", "<action/>\n", 404, "Not found", f"Job {NOWHERE} does not exist."),
        ("GET", f"/jobs/{NOWHERE}/steps", "", 404, "Not found", f"Job {NOWHERE} does not exist."),
        ("POST", "/jobs", "<job/>\n", 400, "Incomplete parameters", "Job [description] required for add"),
        ("POST", "/jobs", "<jobs/>\n", 400, "Request syntactically incorrect.", "The root element is <jobs>; it must be <job>."),
        ("GET", "/vms;case_sensitive=True", "", 404, "Not found", None),
    ],
)  # fmt: skip
def test_a_refusal_is_a_bare_fault_with_a_detail(
    send: Send, method: str, path: str, body: str, status: int, reason: str, detail: str | None
) -> None:
    answer = send(method, path, body)
    assert (answer.status, answer.fault["reason"]) == (status, reason)
    assert answer.fault["detail"]
    assert detail in (None, answer.fault["detail"])


@pytest.mark.mission("D12")
def test_ending_otherwise_what_has_ended_is_a_conflict(send: Send) -> None:
    job = f"/jobs/{send('POST', '/jobs', ADD_JOB).xml.get('id')}"
    send("POST", f"{job}/end", END_JOB.format("ABORTED"))
    assert send("POST", f"{job}/end", END_JOB.format("ABORTED")).status == 200
    refused = send("POST", f"{job}/end", END_JOB.format("FINISHED"))
    assert refused.status == 409
    assert re.match("This job is ABORTED since .* and cannot become FINISHED", refused.fault["detail"] or "")


def test_a_wrong_password_is_challenged_and_told(send: Send) -> None:
    refused = send("GET", "", Authorization=basic("plugin@internal", "wrong"))
    assert (refused.status, refused.fault["detail"]) == (401, "The user name or password is wrong.")
    assert refused.headers["WWW-Authenticate"].startswith('Basic realm="')


def test_its_cookie_stands_for_the_password_until_it_disconnects(send: Send, base: str) -> None:
    """The SDK sends both, and a last request without `Prefer`."""
    first = send("GET", "")
    name, _, rest = first.headers["Set-Cookie"].partition("=")
    session = f"{name}={rest.partition(';')[0]}"
    assert f"Path={base};" in f"{rest};"
    assert "Set-Cookie" not in send("GET", "/jobs", Cookie=session).headers
    added = send("POST", "/jobs", ADD_JOB, Cookie=session, Authorization="")
    assert added.status == 201
    assert send("GET", "", Cookie=session, Prefer="").status == 200
    assert send("GET", "", Cookie=session, Authorization="").status == 401


def test_a_cookie_beside_the_password_asks_for_no_csrf_token(send: Send) -> None:
    answer = send("POST", "/jobs", ADD_JOB, Cookie="JSESSIONID=abc; sessionid=none; csrftoken=x")
    assert answer.status == 201
