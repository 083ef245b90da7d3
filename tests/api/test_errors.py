"""Every answer beneath the prefixes of the API is XML or JSON, or has no body: never a page, never a redirect."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from api.ovirt import views
from taskmonitor.serving.headers import POLICY
from tests.api.caller import JSON, XML, Caller, body, fault
from tests.factories import make_job

PREFIXES = ["/api", "/ovirt-engine/api", "/ovirt-engine/api/v3", "/ovirt-engine/api/v4", "/api/v4"]
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
RUBBISH = [
    "",
    "/",
    "/nothing",
    "/nothing/",
    "/vms",
    "/jobs/",
    "/jobs/7",
    "/jobs/../users",
    "/jobs/%2e%2e/users",
    "/jobs/%00",
    "/jobs/%01%7f",
    "/jobs/%ff%fe",
    "/jobs/%ed%a0%80",
    "/jobs/%0a",
    "/jobs/{00000000-0000-0000-0000-000000000000}",
    "/jobs/00000000-0000-0000-0000-00000000000",
    "/jobs/00000000-0000-0000-0000-0000000000000",
    "/jobs/00000000-0000-0000-0000-00000000000g",
    "/jobs/' OR 1=1 --",
    "/jobs/" + "x" * 5000,
    "/users/99999999999999999999",
    "/users/" + "9" * 5000,
    "/users/-1",
    "/users/0",
    "//////jobs",
    "/jobs;max=1;max=2;=;;x",
    ";max",
    "/v9/jobs",
    "/v/jobs",
    "/jobs/00000000-0000-0000-0000-000000000000/steps/x",
    "/jobs/00000000-0000-0000-0000-000000000000/nothing",
    "?" + "&".join(f"p{n}" for n in range(1500)),
    "?max=%00&search=%ff&follow=%0a&after=%00&correlation_id=%00",
    "/<script>alert(1)</script>",
]


def is_spoken(response: Any) -> None:
    """The answer is in a format of the API, well formed, and no redirect."""
    assert response.status_code < 300 or response.status_code >= 400, response.status_code
    assert response.status_code < 500, response.content
    if response.status_code >= 400:
        fault(response)


@pytest.mark.parametrize(
    "accept", [XML, JSON, BROWSER, "", "*/*", "image/png", "application/json;q=0,*/*", "\xff"]
)
def test_rubbish_addresses_get_faults(owner: User, accept: str) -> None:
    caller = Caller(owner)
    for path in RUBBISH:
        for prefix in PREFIXES:
            is_spoken(caller.send("GET", prefix + path, Accept=accept))


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"]
)
@pytest.mark.parametrize("debug", [False, True])
def test_any_method_gets_a_fault_or_an_empty_body(
    either: Caller, settings: Any, method: str, debug: bool
) -> None:
    settings.DEBUG = debug
    for path in ("/nothing", "/jobs/7", "/jobs", "/users/1", ""):
        response = either.send(method, f"/ovirt-engine/api{path}", "<x/>")
        if body(response):
            is_spoken(response)
        else:
            assert method in ("HEAD", "OPTIONS")
            assert response.status_code < 500
            assert "text/html" not in response.get("Content-Type", "")


def test_options_names_the_methods_and_has_no_body(either: Caller) -> None:
    response = either.send("OPTIONS", "jobs")
    assert (response.status_code, response.content) == (200, b"")
    assert set(response["Allow"].split(", ")) == {"GET", "POST", "HEAD", "OPTIONS"}
    assert "Content-Type" not in response


def test_head_is_get_without_a_body(either: Caller) -> None:
    job = make_job()
    for path, status in (("jobs", 200), (f"jobs/{job.pk}", 200), ("", 200), ("jobs/7", 404)):
        response = either.send("HEAD", path)
        assert (response.status_code, body(response)) == (status, b"")
        assert response["Content-Type"].startswith(either.format)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("host", ["evil.example", "a b", "[::1", "a:b:c", "localhost:99999999", "\xe9", ""])
def test_a_foreign_host_is_refused_in_the_clients_format(
    owner: User, settings: Any, host: str, debug: bool
) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = debug, ["testserver"]
    for format_ in (XML, JSON):
        caller = Caller(owner, format_)
        for path in ("/api/jobs", "/ovirt-engine/api"):
            response = caller.client.get(path, headers={"Host": host})
            assert fault(response)[0] == 400
            assert "ALLOWED_HOSTS" in fault(response)[2]
        response = caller.client.post("/ovirt-engine/sso/oauth/token", headers={"Host": host})
        assert response.status_code == 400
        assert "ALLOWED_HOSTS" in json.loads(response.content)["error"]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("format_", [XML, JSON])
def test_a_crash_tells_where_the_log_has_more_and_nothing_else(
    owner: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    debug: bool,
    format_: str,
) -> None:
    """I5: no traceback, SQL, path or secret in a body or header."""

    def crash(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("SELECT secret FROM /etc/passwd")

    settings.DEBUG = debug
    monkeypatch.setattr(views.selected, "job", crash)
    response = Caller(owner, format_).get(f"jobs/{make_job().pk}", Correlation_Id="night-1")
    assert fault(response) == (
        500, "Internal error", "Something went wrong here; the log has it under night-1.",
    )  # fmt: skip
    assert "SELECT" not in f"{response.content!r} {response.headers}"
    assert "Request id=night-1 failed" in caplog.text


@pytest.mark.parametrize("debug", [False, True])
def test_a_crash_outside_the_views_is_told_the_same_way(
    owner: User, settings: Any, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    settings.DEBUG = debug
    monkeypatch.setattr("api.xml.XMLRenderer.render", lambda *_: 1 / 0)
    caller = Caller(owner)
    caller.client.raise_request_exception = False
    for accept in (XML, BROWSER):
        response = caller.get("users", Correlation_Id="night-2", Accept=accept)
        assert fault(response)[0] == 500
        assert b"ZeroDivisionError" not in response.content


def test_a_database_that_is_away_is_503_with_a_time_to_come_again(
    either: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection to server at 10.0.0.1 failed")

    monkeypatch.setattr(views.jobs, "add_job", away)
    response = either.post("jobs", "job", {"description": "Clone"})
    assert fault(response) == (503, "Database not available", "Nothing was stored; try again.")
    assert int(response["Retry-After"]) >= 1


@pytest.mark.parametrize(
    "path", ["/api/jobs", "/ovirt-engine/sso/oauth/token", "/ovirt-engine/services/sso-logout"]
)
@pytest.mark.parametrize("size", [1_000_001, 5_000_000])
def test_a_body_beyond_the_limit_is_413(owner: User, path: str, size: int) -> None:
    kind = XML if path.startswith("/api") else "application/x-www-form-urlencoded"
    response = Caller(owner).send("POST", path, b"x" * size, Content_Type=kind)
    assert response.status_code == 413
    if path.startswith("/api"):
        assert "1000000 bytes" in fault(response)[2]
    else:
        assert set(json.loads(response.content)) == {"error", "error_code"}


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/yaml",
        "application/xmlx",
        "xml",
        "a/b; charset=\xff",
        ";",
        "x" * 5000,
    ],
)
def test_another_content_type_is_415(either: Caller, kind: str) -> None:
    status, reason, words = fault(either.send("POST", "jobs", "<job/>", Content_Type=kind))
    assert (status, reason) == (415, "Unsupported media type")
    assert words == "Send Content-Type: application/xml or application/json, uncompressed."


@pytest.mark.parametrize(
    "kind",
    [
        "application/xml",
        "APPLICATION/XML",
        "text/xml",
        "application/xml; charset=utf-8",
        'application/xml;x="y;z"',
        " application/xml ",
    ],
)
def test_xml_has_many_names(plugin: Caller, kind: str) -> None:
    body = "<job><description>d</description></job>"
    assert plugin.send("POST", "jobs", body, Content_Type=kind).status_code == 201


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        ("application/xml", XML),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json, application/xml", JSON),
        ("application/xml, application/json", XML),
        ("application/xml;q=0.5, application/json", JSON),
        ("application/json;q=0.5, text/xml;q=0.6", XML),
        ("*/*;q=0.1, application/json", JSON),
        ("application/json;q=nan", XML),
        ("application/json;q=x", XML),
        ("application/json;q=", XML),
        ("application/json;q=0", XML),
        ("application/json;charset=utf-8", JSON),
        ("text/html", XML),
        (BROWSER, XML),
        ("", XML),
        (",;,", XML),
        ("application/json;" * 1000, JSON),
    ],
)
@pytest.mark.mission("S73")
def test_accept_chooses_the_format(plugin: Caller, accept: str, format_: str) -> None:
    assert plugin.get("users", Accept=accept)["Content-Type"].startswith(format_)


def test_the_parameter_accept_goes_before_the_header(plugin: Caller) -> None:
    assert plugin.get("users?accept=application/json")["Content-Type"].startswith(JSON)
    assert plugin.get("users?accept=application/xml", Accept=JSON)["Content-Type"].startswith(XML)


@pytest.mark.parametrize("version", ["5", "0", "-4", "4.0", "v4", "x", "\xff", "9" * 5000, "4,4", "²"])
def test_another_version_is_refused(either: Caller, version: str) -> None:
    status, _, words = fault(either.get("jobs", Version=version))
    assert (status, "ask for 3 or 4" in words) == (400, True)


@pytest.mark.parametrize("value", ["201-created", "DELETE", "\xff", "x" * 5000, "bytes=0-1"])
def test_headers_of_no_use_do_no_harm(either: Caller, value: str) -> None:
    for header in (
        "Expect",
        "Prefer",
        "If-Match",
        "Range",
        "Session-Ttl",
        "X-Ovirt-Expect",
        "X-Http-Method-Override",
    ):
        assert either.get("users", **{header: value}).status_code == 200
        assert either.post("jobs", "job", {"description": "d"}, **{header: value}).status_code == 201


def test_what_a_fault_quotes_is_well_formed_in_both_formats(either: Caller) -> None:
    """Control characters and lone surrogates that a client sent would break the answer that names them."""
    for path in ("/api/\x01\x02", "/api/jobs?follow=%01", "/api/jobs?search=%01=1", "/api/jobs;max=%0b"):
        fault(either.send("GET", path))
    broken = "\\ud800"
    job = make_job()
    for path, text in (
        ("jobs", f'{{"description": "d", "auto_cleared": "{broken}", "{broken}": 1}}'),
        (f"jobs/{job.pk}/steps", f'{{"description": "d", "type": "{broken}"}}'),
        (f"jobs/{job.pk}/steps", f'{{"description": "d", "type": "executing", "parent_step": "{broken}"}}'),
        (f"jobs/{job.pk}/clear", f'{{"force": "{broken}"}}'),
        (f"jobs/{job.pk}/heartbeat", f'{{"succeeded": "{broken}"}}'),
        (f"jobs/{job.pk}/end", f'{{"reason": "{broken}"}}'),
        (f"jobs/{job.pk}/end", f'{{"status": "{broken}"}}'),
        (f"jobs/{job.pk}/progress", f'{{"text": "{broken}"}}'),
        (f"jobs/{job.pk}/progress", f'{{"current": "{broken}"}}'),
    ):
        assert fault(either.send("POST", path, text, Content_Type=JSON))[0] == 400


def test_a_page_is_no_part_of_the_api(db: None) -> None:
    """Addresses that merely begin alike belong to the pages."""
    assert "Correlation-Id" not in Client().get("/apiary")
    assert "Correlation-Id" in Client().get("/", PATH_INFO="//api//jobs")


def test_a_browser_runs_and_frames_nothing_of_the_api(plugin: Caller, client: Client) -> None:
    client.force_login(plugin.user)  # its requests pass through more middleware than a program's
    for response in (plugin.get("jobs"), client.get("/api/jobs"), client.get("/api/nothing")):
        assert response["Content-Security-Policy"] == POLICY
