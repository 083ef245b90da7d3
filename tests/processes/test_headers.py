"""What every answer of a site behind HTTPS tells browsers, whoever makes it; and what is served to nobody."""

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.templatetags.static import static

from tests.live import Site, running_site
from tests.processes.eyes import eventually
from tests.processes.http import answer, connect

STATIC = static("")
PROXIED = {"X-Forwarded-Proto": "https"}
CHARSET = re.compile(r"text/|[/+]xml|javascript")  # kinds of text whose letters a browser would guess
PATHS = (
    "/",
    "/jobs/",
    "/login/",
    "/stream/",
    "/nothing/",
    "/jobs/?search=%FF",
    "/admin",
    "/admin/",
    "/admin/login/",
    static("app.js"),
    static("app.css"),
    static("favicon.svg"),
    static("admin/css/base.css"),
    static("nothing.js"),
    "/healthz",
    "/ovirt-engine/services/health",
    "/readyz",
    "/metrics",
    "/api",
    "/api/jobs",
    "/api/jobs?max=many",
    "/api/jobs?search=%FF",
    "/api/nothing",
    "/api/openapi.json",
    "/ovirt-engine/api/v9/jobs",
    "/ovirt-engine/sso/oauth/token",
)
BEFORE_DJANGO = {
    "no HTTP": (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a large head": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000, 431),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("headers"), HTTPS="1") as site:
        yield site


def asked(site: Site, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
    """The answer, as far as it is told by its head."""
    with closing(HTTPConnection(urlsplit(site.url).netloc, timeout=60)) as connection:
        connection.request(method, path, headers={**PROXIED, **headers})
        with connection.getresponse() as reply:
            return reply


def assert_guarded(reply: HTTPResponse) -> None:
    told = reply.headers
    assert told["X-Content-Type-Options"] == "nosniff"
    assert told["Referrer-Policy"] == "same-origin"
    for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert f"{name} 'none'" in told["Content-Security-Policy"]
    assert "unsafe" not in told["Content-Security-Policy"]
    assert told["Access-Control-Allow-Origin"] is None
    if CHARSET.search(told.get("Content-Type", "")):
        assert "charset=utf-8" in told["Content-Type"].replace('"', "")
    for name in ("Server", "X-Powered-By"):
        assert name not in told


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_has_the_headers_that_guard_it(site: Site, path: str, known: bool) -> None:
    login = b64encode(f"{site.username}:{site.password}".encode()).decode()
    reply = asked(site, path, **({"Authorization": f"Basic {login}"} if known else {}))
    assert_guarded(reply)
    assert reply.headers["Strict-Transport-Security"] == "max-age=31536000"
    kept = path.startswith("/static/") and reply.status == 200
    assert ("no-store" in reply.headers.get("Cache-Control", "")) != kept


@pytest.mark.parametrize("host", ["evil.example", "[", ""])
def test_so_has_one_to_a_foreign_host(site: Site, host: str) -> None:
    for path in ("/jobs/", "/api/jobs", static("app.js")):
        assert_guarded(asked(site, path, Host=host))


@pytest.mark.parametrize("case", BEFORE_DJANGO)
def test_so_has_a_refusal_that_comes_before_django(site: Site, case: str) -> None:
    said, status = BEFORE_DJANGO[case]
    with connect(site) as client:
        client.sendall(said)
        with answer(client) as reply:
            pass
    assert reply.status == status
    assert_guarded(reply)


@pytest.mark.parametrize(
    "path", ["/", "/jobs/", "/api", "/api/jobs", "/healthz", static("app.js"), "/admin/"]
)
def test_what_was_asked_is_never_sent_back(site: Site, path: str) -> None:
    for method in ("TRACE", "TRACK"):
        with closing(HTTPConnection(urlsplit(site.url).netloc, timeout=60)) as connection:
            connection.request(method, path, headers={**PROXIED, "X-Secret": "sesame"})
            reply = connection.getresponse()
            assert 400 <= reply.status < 500
            assert b"sesame" not in reply.read()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/.git/config",
            "/.git/HEAD",
            static(".git/HEAD"),
            f"{STATIC}../manage.py",
            f"{STATIC}../../manage.py",
            f"{STATIC}%2e%2e/%2e%2e/manage.py",
        ),
        *(
            "/var/secret_key",
            f"{STATIC}../../var/secret_key",
            f"{STATIC}..%2f..%2fvar/secret_key",
            "/manage.py",
        ),
        *("/static/", "/static", STATIC, static("admin/"), static("admin/css/")),
    ],
)
def test_neither_folders_nor_what_lies_beside_the_static_files_is_served(site: Site, path: str) -> None:
    assert asked(site, path).status == 404


@pytest.mark.parametrize("path", ["//evil.example/jobs", "/\\evil.example/jobs", "//evil.example/%2e%2e"])
def test_nobody_is_led_to_another_host(site: Site, path: str) -> None:
    for headers in (PROXIED, {"X-Forwarded-Proto": "http"}):
        leads = asked(site, path, **headers).headers.get("Location", "/")
        assert urlsplit(leads).netloc in ("", urlsplit(site.url).netloc)
        assert not leads.startswith(("//", "/\\"))


def test_only_a_proxy_that_is_named_says_who_asks(site: Site, tmp_path: Path) -> None:
    told = {"X-Forwarded-For": "192.0.2.9", "X-Real-IP": "192.0.2.8", "Forwarded": "for=192.0.2.7"}
    asked(site, "/api/jobs?of=strangers", **told)
    with running_site(tmp_path, FORWARDED_ALLOW_IPS="127.0.0.1", HTTPS="1") as proxied:
        asked(proxied, "/api/jobs", **told)
        eventually(lambda: "address=192.0.2.9" in proxied.log, 10)
    assert "address=127.0.0.1" in site.log
    assert "192.0.2." not in site.log
