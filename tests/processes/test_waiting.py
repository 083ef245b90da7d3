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
from tests.processes.http import answer, ask, connect, head

THREADS, CLIENTS = 2, 20


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
        waiting = [stack.enter_context(connect(site, timeout=30)) for _ in range(CLIENTS)]
        for connection in waiting:
            connection.sendall(request + text)
        begun = time.monotonic()
        short = ask(site, "POST", "/api/commands", text, "Prefer: wait=1", json_please)
        assert short.status == 202
        assert 1 <= time.monotonic() - begun < 5
        active = "/api/commands?status=ACTIVE"
        while len(found := _listed(ask(site, "GET", active, b"", json_please))) < CLIENTS + 1:
            assert time.monotonic() - begun < 20
        for command in found:
            assert (
                ask(site, "POST", f"{command['href']}/event", b"<event><data>x</data></event>").status == 200
            )
            if command["id"] != json.loads(short.content)["id"]:  # type: ignore[attr-defined]
                break
        answers = [connection for connection in waiting if _is_readable(connection)]
        assert [answer(connection).status for connection in answers] == [200]

        site.process.terminate()
        late = [answer(connection) for connection in waiting if connection not in answers]
        assert {response.status for response in late} == {202}
        assert {told(response)["status"] for response in late} == {"ACTIVE"}
        assert site.process.wait(STOP_TIMEOUT) == 0, site.log
        assert "ERROR" not in site.log


def _listed(response: Any) -> list[dict[str, Any]]:
    return list(json.loads(response.content)["command"])


def _is_readable(connection: Any) -> bool:
    return bool(select.select([connection], [], [], 0.3)[0])
