"""What HTTPS=1 changes, on a real site; the test is its proxy."""

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.live import ROOT, Site, running_site

PROXIED = {"X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("https"), HTTPS="1") as site:
        yield site


def ask(
    site: Site, path: str, form: dict[str, str] | None = None, **headers: str
) -> tuple[int, list[tuple[str, str]], str]:
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=30)
    body = urlencode(form) if form is not None else None
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    connection.request("POST" if body else "GET", path, body, {**kind, **headers})
    answer = connection.getresponse()
    told = answer.status, [(n.lower(), v) for n, v in answer.getheaders()], answer.read().decode()
    connection.close()
    return told


def cookies(headers: list[tuple[str, str]]) -> dict[str, str]:
    """The attributes of each cookie that is set, by its name."""
    return {value.partition("=")[0]: value for name, value in headers if name == "set-cookie"}


def test_cookies_are_the_hosts_alone_and_sent_by_https_alone(secure: Site) -> None:
    _, headers, page = ask(secure, "/login/", **PROXIED)
    csrf = cookies(headers)["__Host-csrftoken"]
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    form = {"csrfmiddlewaretoken": token, "username": secure.username, "password": secure.password}
    origin = {"Cookie": csrf.partition(";")[0], "Referer": f"https://{urlsplit(secure.url).netloc}/login/"}
    status, headers, _ = ask(secure, "/login/", form, **PROXIED, **origin)
    assert status == 302
    session = cookies(headers)["__Host-sessionid"]
    assert "HttpOnly" in session
    for cookie in (csrf, session):
        assert "; Secure" in cookie
        assert "; Path=/" in cookie
        assert "SameSite=Lax" in cookie
        assert "Domain" not in cookie
    assert ask(secure, "/jobs/", **PROXIED, Cookie=session.partition(";")[0])[0] == 200


def test_pages_lead_to_https_and_the_api_refuses_to_do_without(secure: Site) -> None:
    status, headers, _ = ask(secure, "/jobs/")
    assert (status, dict(headers)["location"]) == (301, f"https://{urlsplit(secure.url).netloc}/jobs/")
    for path in ("/api/jobs", "/api", "//api//jobs", "/api;x=1/jobs", "/ovirt-engine/api", "/metrics"):
        status, headers, told = ask(secure, path)
        assert status == 403
        assert "Ask by HTTPS" in told
        assert "strict-transport-security" not in dict(headers), "it means nothing without HTTPS"
    assert ask(secure, "/api/jobs", **PROXIED)[0] == 401


def test_browsers_are_told_to_stay_with_https(secure: Site) -> None:
    told = dict(ask(secure, "/login/", **PROXIED)[1])
    assert told["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("hsts", "expected"),
    [
        ("subdomains", "max-age=31536000; includeSubDomains"),
        ("preload", "max-age=31536000; includeSubDomains; preload"),
    ],
)
def test_subdomains_and_the_list_of_browsers_are_a_setting(tmp_path: Path, hsts: str, expected: str) -> None:
    with running_site(tmp_path, HTTPS="1", TASKMONITOR_HSTS=hsts) as site:
        assert dict(ask(site, "/login/", **PROXIED)[1])["strict-transport-security"] == expected


@pytest.mark.parametrize("hsts", ["host", "preload"])
def test_django_finds_nothing_to_warn_of(tmp_path: Path, hsts: str) -> None:
    environment = {
        "TASKMONITOR_DATA": str(tmp_path),
        "HTTPS": "1",
        "TASKMONITOR_HSTS": hsts,
        "ALLOWED_HOSTS": "tasks.example.org",
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
    }
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout
