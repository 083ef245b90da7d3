"""Answers that wait for a command's end hold no thread, and do not keep the site from stopping."""

import json
import select
import time
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.live import STOP_TIMEOUT, plug_in, running_site
from tests.processes.eyes import eventually
from tests.processes.http import answer, ask, connect, head

THREADS, CLIENTS = 2, 20
ACTIVE = "/api/commands?status=ACTIVE"


def run(kind: str) -> bytes:
    return f"<command><type>{kind}</type></command>".encode()


def told(response: HTTPResponse) -> Any:
    return json.loads(response.read())


@pytest.mark.mission("S111")
def test_many_wait_while_others_are_answered(tmp_path: Path) -> None:
    path = plug_in(tmp_path / "plug-in", "tests.coordinator.commands")
    json_please = "Accept: application/json"
    with running_site(tmp_path / "data", THREADS=str(THREADS), PYTHONPATH=path) as site, ExitStack() as stack:
        ended = ask(site, "POST", "/api/commands", run("Plain"), "Prefer: wait=10", json_please)
        assert (ended.status, ended.headers["Preference-Applied"]) == (200, "wait=10")
        assert json.loads(ended.content)["status"] == "ENDED_SUCCESSFULLY"  # type: ignore[attr-defined]

        text = run("Waiting")
        request = head(
            site, "POST", "/api/commands", f"Content-Length: {len(text)}", "Prefer: wait=60", json_please
        )
        waiting = [stack.enter_context(connect(site)) for _ in range(CLIENTS)]
        for connection in waiting:
            connection.sendall(request + text)
        begun = time.monotonic()
        short = ask(site, "POST", "/api/commands", text, "Prefer: wait=1", json_please)
        assert short.status == 202
        assert 1 <= time.monotonic() - begun < 30  # the others wait for 60 s
        for command in eventually(lambda: _all_active(ask(site, "GET", ACTIVE, b"", json_please))):
            assert (
                ask(site, "POST", f"{command['href']}/event", b"<event><data>x</data></event>").status == 200
            )
            if command["id"] != json.loads(short.content)["id"]:  # type: ignore[attr-defined]
                break
        [answered] = select.select(waiting, [], [], 30)[0]
        assert answer(answered).status == 200

        site.process.terminate()
        late = [answer(connection) for connection in waiting if connection is not answered]
        assert {response.status for response in late} == {202}
        assert {told(response)["status"] for response in late} == {"ACTIVE"}
        assert site.process.wait(STOP_TIMEOUT) == 0, site.log
        assert "ERROR" not in site.log


def _all_active(response: Any) -> list[dict[str, Any]]:
    """The commands, once all of them have begun."""
    found = list(json.loads(response.content)["command"])
    return found if len(found) == CLIENTS + 1 else []
