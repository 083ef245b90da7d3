"""The log of a real site: each request's line, and what is never in it."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.live import Site, plug_in, running_site
from tests.processes.eyes import eventually
from tests.processes.http import add_job, answer, ask, connect, log_in

Line = dict[str, Any]
ID = r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}"


@pytest.fixture(scope="module")
def logging_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with commands, which says all that it can say, in JSON."""
    folder = tmp_path_factory.mktemp("logging")
    path = plug_in(folder / "plug-in", "tests.coordinator.commands")
    with running_site(folder / "data", LOG_FORMAT="json", LOG_LEVEL="DEBUG", PYTHONPATH=path) as site:
        yield site


def lines(site: Site, **fields: object) -> list[Line]:
    """The lines that have these fields; each line is an object."""
    told = [json.loads(line) for line in site.log.splitlines()]
    return [line for line in told if all(line.get(name) == value for name, value in fields.items())]


def line_of(site: Site, request_id: str | None) -> Line:
    """The line of a whole request."""
    assert request_id
    [line] = eventually(lambda: lines(site, request_id=request_id, logger="taskmonitor.serving.requests"), 10)
    return line


def test_each_request_has_a_line_that_says_who_did_what_from_where(logging_site: Site) -> None:
    body = b"<job><description>Clone</description></job>"
    added = ask(logging_site, "POST", "/api/jobs?x=1", body)
    line = line_of(logging_site, added.headers["X-Request-Id"])
    assert line.pop("ms") > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "INFO",
        "logger": "taskmonitor.serving.requests",
        "message": "POST /api/jobs",
        "request_id": added.headers["X-Request-Id"],
        "address": "127.0.0.1",
        "user": logging_site.username,
        "status": 201,
        "bytes": int(added.headers["Content-Length"]),
        "route": "api/jobs",
    }


def test_whatever_is_logged_while_a_request_runs_says_which_and_of_which_job(logging_site: Site) -> None:
    job = add_job(logging_site)
    ended = ask(logging_site, "POST", f"/api/jobs/{job}/end", b"<action/>", "Correlation-Id: night-1")
    assert ended.headers["Correlation-Id"] == "night-1"
    [line] = lines(logging_site, request_id=ended.headers["X-Request-Id"], logger="taskmonitor.services.jobs")
    assert line["message"] == f"Job id={job} status=FINISHED"
    assert (line["user"], line["address"], line["job_id"]) == (logging_site.username, "127.0.0.1", job)
    assert line["correlation_id"] == "night-1"
    assert line_of(logging_site, ended.headers["X-Request-Id"])["job_id"] == job


def test_pages_have_request_ids_too_and_say_who_looked(logging_site: Site) -> None:
    cookie = log_in(logging_site)
    with connect(logging_site) as browser:
        browser.sendall(page("/jobs/", logging_site, cookie))
        assert line_of(logging_site, answer(browser).headers["X-Request-Id"])["user"] == logging_site.username
    with connect(logging_site) as browser:
        browser.sendall(page("/nothing/", logging_site, cookie))
        request_id = answer(browser).headers["X-Request-Id"]
    line = line_of(logging_site, request_id)
    assert (line["status"], line["message"]) == (404, "GET /nothing/")


def test_lines_of_a_command_say_which_and_of_which_job(logging_site: Site) -> None:
    run = ask(
        logging_site, "POST", "/api/commands", b"<command><type>Plain</type></command>", "Prefer: wait=20"
    )
    text = run.content.decode()  # type: ignore[attr-defined]
    found = re.search(rf'id="({ID})"', text)
    assert found, text
    command = found[1]
    found = eventually(
        lambda: lines(logging_site, command_id=command, logger="coordinator.engine.commit"), 20
    )
    assert {line["message"].partition(" ")[0] for line in found} == {"Command"}
    assert all(re.fullmatch(ID, line["job_id"]) for line in found)


def test_a_client_that_is_refused_is_told_of_with_its_address(logging_site: Site) -> None:
    with connect(logging_site) as stranger:
        stranger.sendall(b"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        line = line_of(logging_site, answer(stranger).headers["X-Request-Id"])
    assert (line["status"], line["address"], line["level"]) == (401, "127.0.0.1", "WARNING")
    assert "user" not in line


def test_who_may_not_do_something_is_named(logging_site: Site) -> None:
    token = logging_site.manage(
        "shell",
        "-v",
        "0",
        "-c",
        "from django.contrib.auth.models import User; from django.utils import timezone;"
        "from taskmonitor.services.access import add_token; from taskmonitor.models import SYSTEM;"
        "user = User.objects.create(username='reader');"
        "print(add_token(user_id=user.pk, name='n', scope=['read'], expires=None, actor=SYSTEM,"
        " now=timezone.now())[1])",
    ).strip()
    with connect(logging_site) as reader:
        credentials = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
        reader.sendall(f"POST /api/jobs HTTP/1.1\r\n{credentials}".encode())
        line = line_of(logging_site, answer(reader).headers["X-Request-Id"])
    assert (line["status"], line["user"], line["level"]) == (403, "reader", "WARNING")
    assert (line["message"], line["address"]) == ("POST /api/jobs", "127.0.0.1")


def test_no_secret_is_ever_written(logging_site: Site) -> None:
    """Passwords right and wrong, tokens, cookies, forms, and secrets that a client puts where none belong."""
    secrets = [f"secret-{number}-{uuid4().hex}" for number in range(8)]
    name, wrong, bearer, query, matrix, cookie, typed, header = secrets
    made = logging_site.manage(
        "shell",
        "-v",
        "0",
        "-c",
        "from django.contrib.auth.models import User; from django.utils import timezone;"
        "from taskmonitor.services.access import add_token; from taskmonitor.models import SYSTEM;"
        "u = User.objects.get(username='admin');"
        f"print(add_token(user_id=u.pk, name={name!r}, scope=['read'], expires=None, actor=SYSTEM,"
        " now=timezone.now())[1])",
    ).strip()
    secrets.remove(name)
    secrets += [made, b64encode(f"admin:{wrong}".encode()).decode(), logging_site.password]
    right = b64encode(f"admin:{logging_site.password}".encode()).decode()
    secrets += [right]
    session = log_in(logging_site)
    secrets += [part.partition("=")[2] for part in session.removeprefix("Cookie: ").split("; ")]
    requests = [
        ("GET", "/api/jobs", f"Authorization: Bearer {made}"),
        ("GET", "/api/jobs", f"Authorization: Bearer {bearer}"),
        ("GET", "/api/jobs", "Authorization: Basic " + b64encode(f"admin:{wrong}".encode()).decode()),
        ("GET", f"/api/jobs?token={query}", "Accept: text/plain"),
        ("GET", f"/api/jobs;token={matrix}/x;password={matrix}", "Accept: text/plain"),
        ("GET", f"/jobs/?password={query}", session),
        ("GET", f"/nothing/?password={query}", f"Cookie: sessionid={cookie}"),
        ("GET", f"/ovirt-engine/sso/oauth/token?username=admin&password={query}", "Accept: text/plain"),
        ("GET", "/api/jobs", f"Cookie: JSESSIONID={cookie}"),
        ("GET", "/api/jobs", f"Authorization: Basic {right}\r\nPrefer: persistent-auth"),
        ("POST", "/login/", f"X-Api-Key: {header}"),
        ("POST", "/ovirt-engine/sso/oauth/token", f"X-Api-Key: {header}"),
    ]
    form = f"grant_type=password&username=admin&password={typed}&csrfmiddlewaretoken={typed}".encode()
    seen, given = [], []
    for method, path, line in requests:
        with connect(logging_site) as client:
            told = [
                f"{method} {path} HTTP/1.1",
                f"Host: {urlsplit(logging_site.url).netloc}",
                "Content-Type: application/x-www-form-urlencoded",
                f"Content-Length: {len(form)}",
                line,
            ]
            client.sendall("\r\n".join([*told, "\r\n"]).encode() + form)
            headers = answer(client).headers
            seen.append(headers["X-Request-Id"])
            cookies = SimpleCookie(headers.get("Set-Cookie", ""))
            given += [cookies["JSESSIONID"].value] if "JSESSIONID" in cookies else []
    for request_id in seen:
        line_of(logging_site, request_id)
    assert len(given) == 1
    secrets += given
    assert [secret for secret in secrets if secret in logging_site.log] == []


def test_nothing_that_a_client_sends_begins_a_line(tmp_path: Path) -> None:
    forged = "%0a2026-11-29T12:00:00.000Z%20INFO%20forged%1b[2K%c2%85%e2%80%a8"
    with running_site(tmp_path / "data") as site:
        for path in (f"/nothing{forged}", f"/api/{forged}", f"/login/{forged}"):
            assert ask(site, "GET", path).status == 404
        name = b64encode(b"x\n2026-11-29T12:00:00.000Z INFO forged\x85:wrong").decode()
        with connect(site) as stranger:
            stranger.sendall(
                f"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {name}\r\n\r\n".encode()
            )
            answer(stranger)
        eventually(lambda: site.log.count("GET /") >= 4, 10)
        begun = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING) (?!forged)[\w.]+ ")
        assert [line for line in site.log.splitlines() if not begun.match(line)] == []


def test_lines_of_requests_can_be_left_out(tmp_path: Path) -> None:
    with running_site(tmp_path / "data", LOG_REQUESTS="0") as site:
        job = add_job(site)
        assert re.search(rf"services\.jobs Job id={job} .*user=admin", site.log)
        assert "POST /api/jobs" not in site.log
        assert ask(site, "GET", "/nothing").status == 404  # but for those that are refused
        eventually(lambda: "GET /nothing" in site.log)


def page(path: str, site: Site, cookie: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {urlsplit(site.url).netloc}\r\n{cookie}\r\n\r\n".encode()
