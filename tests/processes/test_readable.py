"""Queries and forms that cannot be read are refused at every door, in its own form, and not with a 500."""

import json
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest

from tests.live import Site
from tests.processes.http import log_in

FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"%s\r\n\r\nabc\r\n'
FORMS = {  # the content type, the body, and the status that it is answered with
    **{
        f"in {charset}": (f"{FORM}; charset={charset}", b"username=a", 400)
        for charset in (
            "utf-7",
            "utf-16",
            "idna",
            "hex",
            "rot13",
            "undefined",
            "nonsense",
            "",
            '"',
        )
    },
    **{
        f"parts in {charset}": (f"{PARTS}; boundary=x; charset={charset}", PART + b"--x--", 400)
        for charset in ("utf-7", "hex", "undefined", "nonsense")
    },
    "charset in no charset": (f"{FORM}; charset*=nonsense''a%ff", b"a=b", 400),
    "charset with NUL": (f"{FORM}; charset*=utf-8''a%00b", b"a=b", 400),
    "no boundary": (PARTS, PART, 400),
    "empty boundary": (f"{PARTS}; boundary=", PART, 400),
    "odd boundary": (f"{PARTS}; boundary=\xe9", PART, 400),
    "long boundary": (f"{PARTS}; boundary={'x' * 500}", PART, 400),
    "not base64": (f"{PARTS}; boundary=x", FILE % b"\r\nContent-Transfer-Encoding: base64" + b"--x--", 400),
    "many headers": (f"{PARTS}; boundary=x", FILE % b"\r\nA: b" * 1000 + b"--x--", 400),
    "many files": (f"{PARTS}; boundary=x", FILE % b"" * 101 + b"--x--", 400),
    "many parts": (f"{PARTS}; boundary=x", PART * 1001 + b"--x--", 400),
    "many fields": (FORM, b"a=b&" * 1001, 400),
    "large": (FORM, b"a=" + b"b" * 1_000_000, 413),
    "large part": (f"{PARTS}; boundary=x", PART.replace(b"\nb", b"\n" + b"b" * 1_000_000) + b"--x--", 413),
}
PAGES = ("/login/", "/logout/", "/tokens/", "/nothing/", "/admin/login/", "/admin/auth/user/add/")
API = ("/api/jobs", "/ovirt-engine/api/nothing")
LOGIN = ("/ovirt-engine/sso/oauth/token", "/ovirt-engine/services/sso-logout")


def ask(site: Site, method: str, path: str, body: bytes, **headers: str) -> tuple[HTTPResponse, str]:
    with closing(HTTPConnection(urlsplit(site.url).netloc, timeout=60)) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request(method, path, body, {"Accept": "application/json", **named})
        response = client.getresponse()
        return response, response.read().decode()


def reason(path: str, response: HTTPResponse, text: str) -> str:
    """What the door says, in its own form."""
    if path in PAGES:
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<h1>The request was refused</h1>" in text
        return text
    assert response.headers["Content-Type"].startswith("application/json"), response.headers
    answered = json.loads(text)
    if path in LOGIN:
        assert answered["error_code"] == "invalid_request"
        return str(answered["error"])
    return str(answered["detail"])


@pytest.mark.parametrize("known", [False, True], ids=["stranger", "browser"])
@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_cannot_be_read_is_refused(site: Site, form: str, known: bool) -> None:
    content_type, body, status = FORMS[form]
    cookie = {"Cookie": log_in(site).partition(": ")[2]} if known else {}
    before = len(site.log)
    for path in (*PAGES, *LOGIN, *(API if known else ())):
        response, text = ask(site, "POST", path, body, Content_Type=content_type, **cookie)
        assert response.status == status, (path, text)
        assert ("cannot be read" if status == 400 else "may have 1000000 bytes") in reason(
            path, response, text
        )
    assert "Traceback" not in site.log[before:]


def test_a_form_in_latin_1_is_read_where_programs_send_it(site: Site) -> None:
    """Pages are in UTF-8, and so are the forms that browsers send them."""
    kind = f"{FORM}; charset=ISO-8859-1"
    for path in PAGES:
        response, text = ask(site, "POST", path, b"username=a", Content_Type=kind)
        assert (response.status, "in UTF-8, and not in ISO-8859-1" in reason(path, response, text)) == (
            400,
            True,
        )
    form = f"grant_type=password&username={site.username}&password={site.password}".encode()
    response, text = ask(site, "POST", LOGIN[0], form, Content_Type=kind)
    assert (response.status, "access_token" in json.loads(text)) == (200, True)


@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=utf-8"])
def test_a_query_that_cannot_be_read_is_refused(site: Site, content_type: str) -> None:
    before = len(site.log)
    for path in (*PAGES, *API):
        response, text = ask(site, "GET", f"{path}?{'a=b&' * 1001}", b"", Content_Type=content_type)
        assert response.status == 400, (path, text)
        assert "cannot be read" in reason(path, response, text)
    assert "Traceback" not in site.log[before:]


def test_what_the_admin_takes_from_an_address_unchecked_is_refused(site: Site) -> None:
    """Of a model with UUIDs any key; and NUL, which PostgreSQL has in no text."""
    model = "from django.contrib.contenttypes.models import ContentType as C; print(C.objects.get(model='job').pk)"
    kind = site.manage("shell", "-v", "0", "-c", model).strip()
    before = len(site.log)
    cookie = log_in(site).partition(": ")[2]
    response, _ = ask(site, "GET", f"/admin/r/{kind}/x/", b"", Cookie=cookie)
    assert response.status == 404
    response, _ = ask(site, "GET", "/admin/taskmonitor/job/?status=%00", b"", Cookie=cookie)
    assert response.status == (400 if "DATABASE_URL" in site.environment else 200)
    assert "Traceback" not in site.log[before:]
