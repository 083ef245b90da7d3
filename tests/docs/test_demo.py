"""`make demo`, on a running site."""

import base64
import json
import socket
import subprocess
import urllib.request
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from taskmonitor.management.commands.demo import JOBS, PLUGINS
from tests.live import Site


def listed(site: Site, what: str) -> list[dict[str, Any]]:
    told = base64.b64encode(f"{site.username}:{site.password}".encode()).decode()
    headers = {"Authorization": f"Basic {told}", "Accept": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{site.url}/api/{what}", headers=headers)) as answer:
        found = json.load(answer)
    return next(iter(found.values()))


def jobs_of_the_demo(site: Site) -> list[dict[str, Any]]:
    return [job for job in listed(site, "jobs?follow=steps") if job["owner"]["name"] in PLUGINS]


@pytest.mark.mission("S1", "S2")
def test_it_fills_a_site_with_jobs_of_every_state_and_shape(site: Site) -> None:
    told = site.manage("demo", "--once", "--url", f"{site.url}/api")
    assert f"{site.url}/jobs/" in told
    jobs = jobs_of_the_demo(site)
    assert len(jobs) == JOBS
    states = Counter(job["status"] for job in jobs)
    assert min(states[one] for one in ("STARTED", "FINISHED", "FAILED", "ABORTED")) >= 5
    assert {name for job in jobs for name in [job["owner"]["name"]]} == set(PLUGINS)
    limits = [job.get("heartbeat_limit") for job in jobs if job["status"] in ("STARTED", "UNKNOWN")]
    assert limits.count(1) >= 3  # those will be called UNKNOWN
    steps = [step for job in jobs for step in job["steps"]["step"]]
    parents = {step["id"]: step["parent_step"]["id"] for step in steps if "parent_step" in step}
    assert max(Counter(parents.values()).values()) > 20
    assert max(depth(step["id"], parents) for step in steps) >= 5
    assert all(step["status"] in ("STARTED", "FINISHED", "FAILED", "ABORTED") for step in steps)
    live = jobs[0]
    assert (live["description"], live["progress"]["current"]) == ("Replicate ds-7 to the second site", 500)


def depth(step: str, parents: dict[str, str]) -> int:
    above = 0
    while step in parents:
        step, above = parents[step], above + 1
    return above


def test_it_leaves_no_token_behind(site: Site) -> None:
    tokens = (
        "from taskmonitor.models import AccessToken; print(AccessToken.objects.filter(name='demo').count())"
    )
    assert site.manage("shell", "-v", "0", "-c", tokens) == "0\n"


@pytest.mark.parametrize(("host", "spelt"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_it_says_what_to_do_if_no_site_answers(
    site: Site, capfd: pytest.CaptureFixture[str], host: str, spelt: str
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        elsewhere = replace(site, environment=site.environment | {"HOST": host, "PORT": str(port)})
        with pytest.raises(subprocess.CalledProcessError):
            elsewhere.manage("demo")
    said = capfd.readouterr().err
    assert f"http://{spelt}:{port}/api does not answer" in said
    assert "start it with `make run`" in said
