"""Scripts for oVirt engines that name no version: public modules for PowerShell, and shell scripts around curl."""

import json
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest

from tests.clients.raw import Answer, basic, line
from tests.factories import PASSWORD

BASE = "/ovirt-engine/api"
Script = Callable[..., Answer]


@pytest.fixture
def script(origin: str) -> Iterator[Script]:
    """One request, with nothing but what is given."""

    def script(method: str, path: str, body: str | bytes = "", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with line(origin) as open_line:
            return open_line.send(method, path, named, body.encode() if isinstance(body, str) else body)

    return script


def test_powershell_takes_the_token_by_its_place_and_jobs_by_their_text(script: Script) -> None:
    form = urlencode(
        {
            "grant_type": "password",
            "scope": "ovirt-app-api",
            "username": "plugin@internal",
            "password": PASSWORD,
        }
    )
    json_please = {"Accept": "application/json", "Content_Type": "application/x-www-form-urlencoded"}
    token = script("POST", "/ovirt-engine/sso/oauth/token", form, **json_please).body.decode().split('"')[3]
    who = {"Authorization": f"Bearer {token}", "Accept": "application/xml"}

    def states() -> set[str | None]:
        listed = script("GET", f"{BASE}/jobs", **who).xml
        return {
            job.findtext("status") for job in listed if job.findtext("description") == "Snapshot of web-01"
        }

    sent = "<job><description>Snapshot of web-01</description></job>"
    added = script("POST", f"{BASE}/jobs", sent, **who, Content_Type="application/xml")
    assert added.status == 201
    assert states() == {"started"}
    end = "<action><succeeded>true</succeeded></action>"
    script("POST", f"{BASE}/jobs/{added.xml.get('id')}/end", end, **who, Content_Type="application/xml")
    assert states() == {"finished"}


@pytest.mark.parametrize("accept", [{}, {"Accept": "*/*"}], ids=str)
def test_a_script_that_sends_json_reads_an_engines_json(script: Script, accept: dict[str, str]) -> None:
    who = {"Authorization": basic("plugin@internal"), "Content_Type": "application/json", **accept}
    sent = {"description": "Snapshot", "auto_cleared": None, "owner": None, "status": None}
    job = json.loads(script("POST", f"{BASE}/jobs", json.dumps(sent), **who).body)
    assert (job["status"], job["external"], job["auto_cleared"]) == ("started", "true", "false")
    assert job["start_time"] > 1_600_000_000_000
    refused = script("POST", f"{BASE}/jobs/{job['id']}/steps", '{"description": "Copy"}', **who)
    assert (refused.status, json.loads(refused.body)["detail"]) == (400, "Step [type] required for add")
    ended = json.loads(script("POST", f"{BASE}/jobs/{job['id']}/end", '{"succeeded": false}', **who).body)
    assert (ended["status"], ended["succeeded"], ended["outcome"]) == ("complete", "false", "FAILED")


def test_windows_powershell_sends_latin_1_and_says_so(script: Script) -> None:
    for kind, text in (
        ("application/xml", "<job><description>{}</description></job>"),
        ("application/json", '{{"description": "{}"}}'),
    ):
        sent = text.format("Übertragung läuft").encode("latin-1")
        who = {"Authorization": basic("plugin"), "Accept": "application/json"}
        added = script("POST", f"{BASE}/jobs", sent, **who, Content_Type=f"{kind}; charset=ISO-8859-1")
        assert json.loads(added.body)["description"] == "Übertragung läuft"


def test_what_a_shell_script_did_not_escape_is_refused(script: Script) -> None:
    who = {"Authorization": basic("plugin"), "Content_Type": "application/xml"}
    for text in ("a && b", "Copy <disk 1>", "<vm>web-01</vm> to tape", "to <br/> tape"):
        refused = script("POST", f"{BASE}/jobs", f"<job><description>{text}</description></job>", **who)
        assert refused.status == 400
        assert "write &amp; for &" in (refused.fault["detail"] or "")


@pytest.mark.parametrize("base", ["/api", BASE])
def test_matrix_values_are_decoded_once(script: Script, base: str) -> None:
    """As those of a query are; signs that part the path stand in them encoded."""
    who = {"Authorization": basic("plugin"), "Accept": "application/json"}
    texts = ["50%25 of a%3Bb", "50% of a;b", "a/b = c", "übrig+gut"]
    for text in texts:
        script(
            "POST", f"{base}/jobs", json.dumps({"description": text}), **who, Content_Type="application/json"
        )
    for text in texts:
        query = urlencode({"search": f'description = "{text}"', "max": "5"}).replace("+", "%20")
        path = f"{base}/jobs;{query.replace('&', ';')}"
        for asked in (path, f"{base}/jobs?{query}", f"{base}/%6Aobs;s%65arch={query.partition('=')[2]}"):
            found = json.loads(
                script("GET", asked.replace("&max", ";max") if ";" in asked else asked, **who).body
            )
            assert {job["description"] for job in found["job"]} == {text}, asked
    assert script("GET", f"{base}/jobs%3Bmax=1", **who).status == 404  # it is a part of the name
