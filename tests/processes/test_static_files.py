"""Static files are kept by browsers for ever, and never those of another version; what is long is compressed."""

import gzip
import re
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.templatetags.static import static

from taskmonitor.static_address import static_address
from tests.live import ROOT, Site
from tests.processes.http import add_job, log_in, login_line

SQUEEZED = {"Accept-Encoding": "gzip, deflate, br"}


def asked(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    with closing(HTTPConnection(urlsplit(site.url).netloc, timeout=60)) as connection:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply, reply.read()


def test_the_address_changes_with_any_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.js").write_text("1")
    first = static_address([tmp_path])
    assert re.fullmatch(r"static/[0-9a-f]{12}/", first)
    assert static_address([tmp_path]) == static_address([("prefix", tmp_path)]) == first
    (tmp_path / "in" / "a.js").write_text("2")
    second = static_address([tmp_path])
    (tmp_path / "in" / "a.js").rename(tmp_path / "in" / "b.js")
    assert len({first, second, static_address([tmp_path]), static_address([tmp_path / "missing"])}) == 4


@pytest.mark.parametrize(
    "path", ["app.css", "app.js", "favicon.svg", "admin/css/base.css", "django_htmx/htmx-2.min.js"]
)
def test_static_files_are_kept_for_ever_and_compressed(site: Site, path: str) -> None:
    plain, content = asked(site, static(path))
    assert plain.status == 200
    assert plain.headers["Cache-Control"] == "max-age=315360000, public, immutable"
    assert plain.headers["Content-Encoding"] is None
    reply, squeezed = asked(site, static(path), **SQUEEZED)
    assert (reply.headers["Content-Encoding"], reply.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(squeezed) == content
    assert len(squeezed) < len(content)
    again, nothing = asked(
        site, static(path), **SQUEEZED, **{"If-Modified-Since": plain.headers["Last-Modified"]}
    )
    assert (again.status, nothing) == (304, b"")
    part, some = asked(site, static(path), **SQUEEZED, Range="bytes=0-9")
    assert (part.status, some, part.headers["Content-Encoding"]) == (206, content[:10], None)


def test_files_of_another_version_are_not_there(site: Site) -> None:
    assert asked(site, static("app.js").replace(static(""), "/static/0123456789ab/"))[0].status == 404
    assert asked(site, "/static/app.js")[0].status == 404


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_pages_load_nothing_but_what_is_kept(site: Site, path: str) -> None:
    _, page = asked(site, path)
    loaded = re.findall(r'(?:src|href)="(/static/[^"]*)"', page.decode())
    assert len(loaded) >= 3
    for address in loaded:
        assert asked(site, address)[0].headers["Cache-Control"].endswith("immutable"), address


def test_scripts_and_styles_name_each_other_by_where_they_are() -> None:
    """So what one of them loads is of its own version."""
    for file in [*(ROOT / "static").rglob("*.js"), *(ROOT / "static").rglob("*.css")]:
        text = file.read_text()
        for named in re.findall(r'(?:from|import)\s*\(?"([^"]+)"|url\("?([^)"]+)', text):
            assert not "".join(named).startswith(("/", "http")), file
        assert "/static/" not in text, file


def test_pages_and_lists_of_the_api_are_compressed_and_short_answers_are_not(site: Site) -> None:
    login = {"Authorization": login_line(site).decode().partition(": ")[2]}
    assert asked(site, "/login/", **SQUEEZED)[0].headers["Content-Encoding"] == "gzip"
    short, _ = asked(site, "/api", **SQUEEZED, **login)
    assert short.headers["Content-Encoding"] is None
    for _ in range(10):
        add_job(site)
    lengthy, content = asked(site, "/api/jobs?max=10", **SQUEEZED, **login)
    assert lengthy.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(content).startswith(b"<?xml")


def test_the_stream_of_events_is_not_compressed(site: Site) -> None:
    """A compressed one would be kept back until there is enough of it."""
    name, _, cookie = log_in(site).partition(": ")
    with closing(HTTPConnection(urlsplit(site.url).netloc, timeout=20)) as connection:
        connection.request("GET", "/stream/", headers={name: cookie, **SQUEEZED})
        reply = connection.getresponse()
        assert (reply.status, reply.headers["Content-Encoding"]) == (200, None)
        assert reply.readline().startswith(b"id:")
