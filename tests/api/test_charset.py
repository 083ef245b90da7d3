"""The charset that a Content-Type names counts for every body, or is refused by its name."""

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from taskmonitor.models import Job
from tests.api.caller import JSON, XML, Caller, fault, read
from tests.factories import make_job

TEXT = "Grüße von web-01: 5 €"
FORM = "application/x-www-form-urlencoded"
CHARSETS = [
    ("windows-1252", "cp1252"),
    ("ISO-8859-15", "iso8859-15"),
    ('"utf-8"', "utf-8"),
    ("UTF8", "utf-8"),
    ("utf-16", "utf-16"),
    ("UTF-16LE", "utf-16-le"),
    ("utf-16be", "utf-16-be"),
]


def in_format(kind: str, text: str) -> str:
    return json.dumps({"description": text}, ensure_ascii=False) if kind == JSON else described(text)


def described(text: str) -> str:
    return f"<job><description>{text}</description></job>"


@pytest.mark.parametrize("kind", [XML, "text/xml", JSON])
@pytest.mark.parametrize(("named", "codec"), CHARSETS)
def test_a_body_is_read_in_the_charset_that_is_named(
    plugin: Caller, kind: str, named: str, codec: str
) -> None:
    sent = in_format(kind, TEXT).encode(codec)
    response = plugin.send("POST", "jobs", sent, Content_Type=f"{kind}; charset={named}")
    assert (response.status_code, read(response)["description"]) == (201, TEXT)


@pytest.mark.parametrize("declared", ["utf-8", "utf-16", "ISO-8859-1", "koi8-r"])
def test_it_goes_before_the_encoding_that_xml_declares(plugin: Caller, declared: str) -> None:
    """.NET's StringWriter declares UTF-16, whatever is sent (RFC 7303, 3.2)."""
    sent = f'<?xml version="1.0" encoding="{declared}"?>{described(TEXT)}'
    for codec in ("utf-8", "cp1252"):
        response = plugin.send("POST", "jobs", sent.encode(codec), Content_Type=f"{XML}; charset={codec}")
        assert (response.status_code, read(response)["description"]) == (201, TEXT)


@pytest.mark.parametrize("kind", [XML, JSON])
@pytest.mark.parametrize(
    "named", ["klingon", "utf-7", "idna", "punycode", "zlib", "rot13", "undefined", "\xff", "x" * 500]
)
def test_another_one_is_refused_by_its_name(plugin: Caller, kind: str, named: str) -> None:
    told = fault(plugin.send("POST", "jobs", in_format(kind, "d"), Content_Type=f"{kind}; charset={named}"))
    assert told[:2] == (400, "Request syntactically incorrect.")
    assert told[2] == f"Content-Type names the charset '{named[:40]}', which is not read here; send UTF-8."
    assert not Job.objects.exists()


@pytest.mark.parametrize("kind", [XML, JSON])
@pytest.mark.parametrize(("named", "sent"), [("ascii", b"\xe9"), ("cp1252", b"\x81"), ("utf-16", b"\xd8")])
def test_a_body_in_another_charset_than_named_is_refused(
    plugin: Caller, kind: str, named: str, sent: bytes
) -> None:
    told = fault(plugin.send("POST", "jobs", sent, Content_Type=f"{kind}; charset={named}"))
    assert told[0] == 400
    assert named in told[2]


def test_lines_of_a_batch_are_read_in_it_too(plugin: Caller, owner: User) -> None:
    job = make_job()
    line = json.dumps({"op": "add_step", "type": "EXECUTING", "description": TEXT}, ensure_ascii=False)
    for codec in ("cp1252", "utf-16"):
        sent = f"{line}\n{line}\n".encode(codec)
        kind = f"application/x-ndjson; charset={codec}"
        response = plugin.send("POST", f"jobs/{job.pk}/batch", sent, Content_Type=kind)
        told = [json.loads(one) for one in response.content.splitlines()]
        assert [one["step"]["description"] for one in told] == [TEXT] * 2
    refused = plugin.send(
        "POST", f"jobs/{job.pk}/batch", line, Content_Type="application/x-ndjson; charset=no"
    )
    assert "names the charset 'no'" in fault(refused)[2]


@pytest.mark.parametrize(
    ("named", "status"), [("iso-8859-1", 200), ("utf-8", 200), ("utf-16", 400), ("no", 400)]
)
def test_so_is_the_form_of_a_login(owner: User, named: str, status: int) -> None:
    owner.set_password("Grüße an alle")
    owner.save()
    sent = "grant_type=password&username=plugin&password=Grüße an alle"
    body = sent.encode(named if status == 200 else "utf-8")
    response = Client().generic("POST", "/ovirt-engine/sso/oauth/token", body, f"{FORM}; charset={named}")
    told = json.loads(response.content)
    assert response.status_code == status
    assert ("access_token" in told) == (status == 200)
    assert status == 200 or named in told["error"]
