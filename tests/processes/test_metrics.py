"""/metrics of a real site: what its many processes did is all seen there, and asking stays cheap."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from tests.api.test_metrics import Samples, samples, value
from tests.live import Site, plug_in, running_site
from tests.processes.eyes import eventually
from tests.processes.http import add_job, ask, connect, log_in

ENDED = {"step_type": "EXECUTING", "status": "FINISHED"}


def scraped(site: Site) -> Samples:
    answer = ask(site, "GET", "/metrics")
    assert answer.status == 200, answer.content  # type: ignore[attr-defined]
    return samples(answer.content.decode())  # type: ignore[attr-defined]


def test_steps_that_plug_ins_and_workers_end_are_seen_alike(tmp_path: Path) -> None:
    path = plug_in(tmp_path / "plug-in", "tests.coordinator.commands")
    with running_site(tmp_path / "data", PYTHONPATH=path) as site:
        before = scraped(site)
        assert value(before, "taskmonitor_step_duration_seconds_count", **ENDED) == 0
        assert value(before, "taskmonitor_commands", command_type="Plain", state="due") == 0
        run = b"<command><type>Plain</type></command>"
        assert ask(site, "POST", "/api/commands", run, "Prefer: wait=20").status == 200
        job = add_job(site)
        text = b"<step><description>Copy</description><type>EXECUTING</type></step>"
        step = str(ask(site, "POST", f"/api/jobs/{job}/steps", text).headers["Location"]).rpartition("/")[2]
        end = b"<action><status>FINISHED</status></action>"
        assert ask(site, "POST", f"/api/jobs/{job}/steps/{step}/end", end).status == 200
        eventually(lambda: value(scraped(site), "taskmonitor_step_duration_seconds_count", **ENDED) == 2)
        assert value(scraped(site), "taskmonitor_jobs", status="FINISHED") == 1
        eventually(lambda: value(scraped(site), "taskmonitor_clusters") == 1)


def test_requests_are_timed_by_route_and_streams_are_counted(site: Site) -> None:
    route = {
        "http_request_method": "GET",
        "http_route": "api/jobs/<uuid:job_id>",
        "http_response_status_code": "200",
    }
    name = "http_server_request_duration_seconds_count"

    def asked() -> float:
        return scraped(site).get((name, frozenset(route.items())), 0)

    before = asked()
    jobs = [add_job(site) for _ in range(3)]
    for job in jobs:
        assert ask(site, "GET", f"/api/jobs/{job}").status == 200
    eventually(lambda: asked() == before + 3)
    assert not [labels for _, labels in scraped(site) if any(job in str(labels) for job in jobs)]

    readers = value(scraped(site), "taskmonitor_stream_readers")
    with connect(site) as page:
        host = urlsplit(site.url).netloc
        page.sendall(f"GET /stream/ HTTP/1.1\r\nHost: {host}\r\n{log_in(site)}\r\n\r\n".encode())
        assert re.match(rb"HTTP/1.1 200", page.recv(1000))
        eventually(lambda: value(scraped(site), "taskmonitor_stream_readers") == readers + 1)
        assert value(scraped(site), "http_server_active_requests") >= 1
    eventually(lambda: value(scraped(site), "taskmonitor_stream_readers") == readers)
