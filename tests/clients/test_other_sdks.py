"""What the Go, Java and Ruby SDKs and curl need of every answer, asked byte for byte."""

import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest

from tests.clients.conftest import BASES
from tests.clients.raw import DECLARATION, Answer, basic, line
from tests.factories import PASSWORD

NOWHERE = "00000000-0000-0000-0000-000000000000"
TOKEN, LOGOUT = "/ovirt-engine/sso/oauth/token", "/ovirt-engine/services/sso-logout"
LOGIN = {
    "grant_type": "password",
    "scope": "ovirt-app-api",
    "username": "plugin@internal",
    "password": PASSWORD,
}
Ask = Callable[..., Answer]


@pytest.fixture
def ask(origin: str) -> Iterator[Ask]:
    """One request as a v4 client sends it, by the plug-in's user unless told."""

    def ask(method: str, path: str, body: str = "", **headers: str) -> Answer:
        given = {
            "Authorization": basic("plugin"),
            "Version": "4",
            "Content-Type": "application/xml",
            "Accept": "application/xml",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        with line(origin) as open_line:
            return open_line.send(method, path, given, body.encode())

    return ask


@pytest.fixture
def post_form(origin: str) -> Callable[..., Answer]:
    def post_form(path: str, form: str | dict[str, str], method: str = "POST", **headers: str) -> Answer:
        given = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = form if isinstance(form, str) else urlencode(form)
        with line(origin) as open_line:
            return open_line.send(method, path, given, body.encode())

    return post_form


REFUSED = [
    ("GET", f"/jobs/{NOWHERE}", "", 404, {}),
    ("POST", f"/jobs/{NOWHERE}/end", "<action/>", 404, {}),
    ("GET", "/vms", "", 404, {}),
    ("GET", "/jobs/x/y/z", "", 404, {}),
    ("POST", "/jobs", "", 400, {}),
    ("POST", "/jobs", "<job>", 400, {}),
    ("POST", "/jobs", "<step><description>x</description></step>", 400, {}),
    ("POST", "/jobs", "<job><description>x</description></job>", 401, {"Authorization": "Bearer gone"}),
    ("POST", "/jobs", "<job><description>x</description></job>", 401, {"Authorization": "Basic %%%"}),
    ("GET", "/jobs", "", 401, {"Authorization": ""}),
    ("POST", "/jobs", "<job><description>x</description></job>", 403, {"Authorization": basic("guest")}),
    ("POST", f"/jobs/{NOWHERE}/end", "<action/>", 403, {"Authorization": basic("guest")}),
    ("PUT", "/jobs", "<jobs/>", 405, {}),
    ("DELETE", f"/jobs/{NOWHERE}", "", 405, {}),
    ("POST", "/jobs", "description=x", 415, {"Content-Type": "application/x-www-form-urlencoded"}),
    ("POST", "/jobs", "<job><description>" + "x" * 1_100_000 + "</description></job>", 413, {}),
    ("GET", "/jobs", "", 400, {"Version": "5"}),
    ("GET", "/jobs", "", 400, {"Host": "elsewhere.example"}),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "headers"),
    REFUSED,
    ids=[f"{one[3]} {one[0]} {one[1][:8]}" for one in REFUSED],
)
@pytest.mark.parametrize("base", BASES)
def test_every_refusal_is_a_bare_fault_in_xml(
    ask: Ask, base: str, method: str, path: str, body: str, status: int, headers: dict[str, str]
) -> None:
    if "Version" in headers and base.endswith("/v4"):
        headers = {}
        status = 200
    answer = ask(method, base + path, body, **headers)
    assert answer.status == status
    assert answer.kind.startswith("application/xml")
    if status != 200:
        assert set(answer.fault) == {"reason", "detail"}
        assert all(answer.fault.values())
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    "path", ["", "/", "/jobs", "/jobs/", "//jobs", "/jobs?max=1", "/capabilities", "/users"]
)
@pytest.mark.parametrize("base", [*BASES, "/api/v3", "/ovirt-engine/api/v3"])
def test_addresses_answer_at_once_and_hrefs_begin_like_the_request(ask: Ask, base: str, path: str) -> None:
    answer = ask("GET", base + path)
    assert (answer.status, answer.body.startswith(DECLARATION)) == (200, True)
    hrefs = [element.get("href") for element in answer.xml.findall(".//*[@href]")]
    assert all(href.startswith(f"{base}/") for href in hrefs)
    assert hrefs or path == "/capabilities"


@pytest.mark.parametrize("base", BASES)
def test_actions_answer_with_an_action(ask: Ask, base: str) -> None:
    added = ask("POST", f"{base}/jobs", "<job><description>acted upon</description></job>")
    assert added.status == 201
    job = added.xml.get("href")
    assert added.headers["Location"].endswith(job)
    assert job.startswith(base)
    step = ask("POST", f"{job}/steps", "<step><description>s</description><type>unknown</type></step>")
    assert step.xml.findtext("type") == "unknown"
    for path, body in (
        (f"{step.xml.get('href')}/end", "<action><succeeded> TRUE </succeeded></action>"),
        (f"{job}/end", "<action><async>false</async><force>0</force></action>"),
        (f"{job}/clear", "<action/>"),
    ):
        done = ask("POST", path, body)
        assert (done.status, done.xml.tag, done.xml.findtext("status")) == (200, "action", "complete")
        assert {done.xml.findtext(name) for name in ("succeeded", "force")} <= {"true", "false", None}


def test_times_have_a_zone_and_at_most_six_decimals(ask: Ask) -> None:
    job = ask("POST", "/api/jobs", "<job><description>timed</description></job>").xml.get("href")
    ask("POST", f"{job}/end", "<action/>")
    for document in (ask("GET", job), ask("GET", job, Version="3"), ask("GET", "/api")):
        times = [
            one
            for one in document.xml.iter()
            if one.tag in ("start_time", "end_time", "last_updated", "time")
        ]
        assert times
        for one in times:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}(Z|[+-]\d\d:\d\d)", one.text)


@pytest.mark.parametrize(
    ("status", "ends"), [("failed", "failed"), ("FINISHED", "finished"), ("aborted", "aborted")]
)
def test_a_status_alone_ends_a_job(ask: Ask, status: str, ends: str) -> None:
    for body in (
        f"<action><status>{status}</status></action>",
        f"<action><status><state>{status}</state></status></action>",
    ):
        job = ask("POST", "/api/jobs", "<job><description>ended</description></job>").xml.get("href")
        assert ask("POST", f"{job}/end", body).status == 200
        assert ask("GET", job).xml.findtext("status") == ends


@pytest.mark.mission("S4", "D2")
@pytest.mark.parametrize(
    "action",
    [
        "<succeeded>true</succeeded><status>failed</status>",
        "<succeeded>false</succeeded><status><state>FINISHED</state></status>",
        "<status>started</status>",
        "<status>unknown</status>",
        "<status>over</status>",
        "<succeeded>maybe</succeeded>",
        "<force>perhaps</force>",
    ],
)
def test_an_end_that_makes_no_sense_changes_nothing(ask: Ask, action: str) -> None:
    job = ask("POST", "/api/jobs", "<job><description>open</description></job>").xml.get("href")
    refused = ask("POST", f"{job}/end", f"<action>{action}</action>")
    assert (refused.status, refused.fault["reason"]) == (400, "Invalid value")
    assert ask("GET", job).xml.findtext("status") == "started"


def test_the_version_in_the_address_wins_over_the_header(ask: Ask) -> None:
    job = ask("POST", "/api/jobs", "<job><description>seen thrice</description></job>").xml.get("id")
    for address, header, flat, nested in (
        ("/api/v3", "4", None, "STARTED"),
        ("/api/v4", "3", "started", None),
        ("/api", "3", None, "STARTED"),
        ("/api", "4", "started", None),
    ):
        seen = ask("GET", f"{address}/jobs/{job}", Version=header).xml
        assert (seen.findtext("status") or None, seen.findtext("status/state")) == (flat, nested)
    assert ask("GET", f"/api/v5/jobs/{job}").status == 400


def test_a_login_is_one_json_object_and_logging_out_ends_it(
    ask: Ask, post_form: Callable[..., Answer]
) -> None:
    answer = post_form(TOKEN, LOGIN)
    told = json.loads(answer.body)
    assert (answer.status, answer.kind, told["token_type"]) == (200, "application/json", "bearer")
    bearer = f"Bearer {told['access_token']}"
    assert ask("GET", "/api/jobs", Authorization=bearer).status == 200
    for form in (
        {"scope": "", "token": told["access_token"]},
        {"scope": "", "token": told["access_token"]},
        {"scope": "", "token": ""},
        {"scope": "ovirt-app-api"},
        {},
    ):
        gone = post_form(LOGOUT, form)
        assert (gone.status, gone.kind, json.loads(gone.body)) == (200, "application/json", {})
    assert ask("GET", "/api/jobs", Authorization=bearer).status == 401


@pytest.mark.parametrize(
    ("path", "form", "method", "headers", "code"),
    [
        (TOKEN, LOGIN | {"password": "wrong"}, "POST", {}, "access_denied"),
        (TOKEN, LOGIN | {"username": "nobody@internal"}, "POST", {}, "access_denied"),
        (TOKEN, {"grant_type": "password"}, "POST", {}, "access_denied"),
        (TOKEN, LOGIN | {"grant_type": "client_credentials"}, "POST", {}, "unsupported_grant_type"),
        (TOKEN, {}, "POST", {}, "unsupported_grant_type"),
        (TOKEN, json.dumps(LOGIN), "POST", {"Content-Type": "application/json"}, "unsupported_grant_type"),
        (f"{TOKEN}-http-auth", LOGIN, "POST", {}, "unsupported_grant_type"),
        (TOKEN, "", "GET", {}, "invalid_request"),
        (LOGOUT, "", "GET", {}, "invalid_request"),
        (TOKEN, "x" * 1_100_000, "POST", {}, "invalid_request"),
        (TOKEN, LOGIN, "POST", {"Content-Type": "multipart/form-data; boundary=é"}, "invalid_request"),
        (TOKEN, LOGIN, "POST", {"Version": "5"}, "invalid_request"),
        ("/ovirt-engine/sso/oauth/revoke", LOGIN, "POST", {}, "invalid_request"),
        (TOKEN, LOGIN, "POST", {"Host": "elsewhere.example"}, "invalid_request"),
    ],
)
def test_every_refused_login_is_json_with_an_error(
    post_form: Callable[..., Answer],
    path: str,
    form: str | dict[str, str],
    method: str,
    headers: dict[str, str],
    code: str,
) -> None:
    answer = post_form(path, form, method, **headers)
    told = json.loads(answer.body)
    assert answer.status >= 400
    assert answer.kind.startswith("application/json")
    assert (told["error_code"], bool(told["error"])) == (code, True)
