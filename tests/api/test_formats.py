"""The format of answers: what is asked for, else that of the request's body, else XML."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.api.caller import JSON, XML, Caller, fault
from tests.factories import make_job

LINES = "application/x-ndjson"
SILENT: list[dict[str, str]] = [
    {},
    {"Accept": "*/*"},
    {"Accept": ""},
    {"Accept": "text/html, image/gif, *; q=.2, */*; q=.2"},
]


class Silent:
    """A program that says who it is, and of formats nothing but the Content-Type of what it sends."""

    def __init__(self, user: User, **headers: str) -> None:
        secret = Caller(user).client.defaults["HTTP_AUTHORIZATION"]
        self.client = Client(headers={"Authorization": secret, **headers}, raise_request_exception=False)

    def send(
        self, kind: str, path: str = "/api/jobs", text: Any = "", method: str = "POST", **headers: str
    ) -> Any:
        sent = text or (
            "<job><description>d</description></job>" if "xml" in kind else '{"description": "d"}'
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(method, path, sent, kind, headers=named)


def is_in(response: Any, kind: str) -> bool:
    return bool(response["Content-Type"].startswith(kind))


@pytest.mark.parametrize("headers", SILENT, ids=str)
@pytest.mark.parametrize("base", ["/api", "/ovirt-engine/api", "/api/v3"])
def test_what_is_sent_in_a_format_is_answered_in_it(owner: User, base: str, headers: dict[str, str]) -> None:
    program = Silent(owner, **headers)
    for kind, format_ in (
        (XML, XML),
        ("text/xml", XML),
        (JSON, JSON),
        ("Application/JSON; charset=utf-8", JSON),
    ):
        response = program.send(kind, f"{base}/jobs")
        assert response.status_code == 201
        assert is_in(response, format_)
    job = make_job()
    assert json.loads(program.send(JSON, f"{base}/jobs/{job.pk}/end", "{}").content)["status"]


def test_who_sends_nothing_gets_xml(owner: User) -> None:
    job = make_job()
    for headers in SILENT:
        program = Silent(owner, **headers).client
        assert is_in(program.get("/api/jobs"), XML)
        assert is_in(program.get("/api/jobs", headers={"Content-Type": JSON}), XML)  # of no body
        assert is_in(program.generic("POST", f"/api/jobs/{job.pk}/heartbeat"), XML)


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        ("application/xml", XML),
        ("text/xml;q=0.1", XML),
        ("application/xml;q=0.5, */*;q=0.1", XML),
        ("*/*, application/xml", XML),
        ("application/json;q=0, */*", XML),
        ("image/png", JSON),
        ("application/*", JSON),
        ("*/*, application/json", JSON),
    ],
)
def test_what_is_asked_for_goes_before(owner: User, accept: str, format_: str) -> None:
    program = Silent(owner)
    assert is_in(program.send(JSON, Accept=accept), format_)
    assert is_in(program.send(JSON, "/api/jobs?accept=application/xml", Accept=accept), XML)
    assert is_in(program.send(XML, "/api/jobs?accept=application/json", Accept=accept), JSON)


@pytest.mark.parametrize("kind", [JSON, LINES, XML])
def test_every_refusal_is_in_it_too(owner: User, settings: Any, kind: str) -> None:
    """Those of views, and those from before any view."""
    program, job = Silent(owner), make_job()
    stranger = Silent(owner, Authorization="Bearer tm_no")
    refusals = [
        (400, program.send(kind, text="<")),
        (400, program.send(kind, "/api/v9/jobs")),
        (400, program.send(kind, Version="x")),
        (400, program.send(kind, Correlation_Id="a b")),
        (400, program.send(kind, "/api/jobs?" + "a=b&" * 1001)),
        (400, program.send(kind, Host="evil.example")),
        (401, stranger.send(kind)),
        (404, program.send(kind, "/api/nothing")),
        (404, program.send(kind, "/ovirt-engine/api/vms")),
        (404, program.send(kind, f"/api/jobs/{owner.pk}/end")),
        (405, program.send(kind, f"/api/jobs/{job.pk}", method="PUT")),
        (413, program.send(kind, text="x" * 1_000_001)),
        (415, program.send(kind, Content_Encoding="gzip")),
    ]
    settings.SECURE_SSL_REDIRECT = True
    refusals.append((403, program.send(kind)))
    wanted = XML if kind == XML else JSON
    for status, response in refusals:
        expected = (415,) if kind == LINES and status in (400, 413) else ()
        assert response.status_code in (status, *expected), response.content
        assert is_in(response, wanted), (status, response.content)
        fault(response)


def test_a_crash_is_told_in_it_as_well(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.ovirt.views.job_fields", lambda *_: 1 / 0)
    assert fault(Silent(owner).send(JSON))[0] == 500
    assert is_in(Silent(owner).send(JSON), JSON)
    assert is_in(Silent(owner).send(XML), XML)
