"""/healthz, /readyz and an engine's health: what those who watch the site learn of it, also when it is badly off."""

import asyncio
import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from taskmonitor.serving import probes
from taskmonitor.serving.probes import DOWN, ENGINE, UP, Probes
from tests.live import Site, own_database, start, wait_for_address
from tests.processes.eyes import eventually, web_and_cluster
from tests.processes.http import add_job, ask

Told = tuple[int, str]


def probe(site: Site | str, path: str, method: str = "GET", **headers: str) -> Told:
    """Status and text, as somebody learns them who knows the address and nothing else."""
    where = site if isinstance(site, str) else site.url
    with closing(HTTPConnection(urlsplit(where).netloc, timeout=20)) as prober:
        prober.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = prober.getresponse()
        return answer.status, answer.read().decode()


def ready(site: Site) -> bool:
    return probe(site, "/readyz") == (200, "ok\n")


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Within it these processes do nothing, and say nothing of it."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_strangers_are_told_in_text_or_json_whatever_host_they_ask_for(site: Site) -> None:
    assert probe(site, "/healthz", Host="10.1.2.3:8000") == (200, "ok\n")
    eventually(lambda: ready(site))
    assert probe(site, "/readyz", Host="10.1.2.3:8000") == (200, "ok\n")
    assert probe(site, "/readyz", Accept="application/json") == (200, '{"ok": true, "why": []}\n')
    assert probe(site, "/healthz", "HEAD") == (200, "")
    assert probe(site, "/healthz", "POST") == (405, "Send a GET.\n")
    assert probe(site, ENGINE, Host="10.1.2.3:8000") == (200, UP) == (200, "DB Up!Welcome to Health Status!")
    assert probe(site, ENGINE, Accept="application/json") == (200, UP)
    assert (probe(site, ENGINE, "HEAD"), probe(site, ENGINE, "POST")) == ((200, ""), (405, "Send a GET.\n"))


def test_a_site_whose_workers_are_stopped_is_not_ready_and_is_again_when_they_go_on(own_site: Site) -> None:
    eventually(lambda: ready(own_site))
    _, cluster = web_and_cluster(own_site)
    with stopped(cluster):
        status, why = eventually(lambda: not ready(own_site) and probe(own_site, "/readyz"))
        assert status == 503
        assert re.fullmatch(r"The workers gave their last sign of life \d\d s ago\.\n", why)
        assert probe(own_site, "/healthz") == (200, "ok\n")
        assert probe(own_site, ENGINE) == (200, UP)  # the database is well
    eventually(lambda: ready(own_site))


def test_a_web_server_alone_is_ready_while_any_workers_run_on_its_database(tmp_path: Path) -> None:
    with own_database() as database:
        web = start(tmp_path, "--only", "web", **database)
        try:
            url = wait_for_address(tmp_path, web)
            assert probe(url, "/readyz") == (503, "No workers run.\n")
            workers = start(
                tmp_path / "workers", "--only", "cluster", TASKMONITOR_DATA=str(tmp_path), **database
            )
            try:
                eventually(lambda: probe(url, "/readyz")[0] == 200)
                workers.terminate()
                assert workers.wait(20) == 0
            finally:
                workers.kill()
            assert eventually(lambda: probe(url, "/readyz")[0] == 503)
            assert probe(url, "/readyz") == (503, "No workers run.\n")
        finally:
            web.terminate()
            assert web.wait(20) == 0


def test_workers_that_were_killed_leave_a_sign_that_grows_old(own_site: Site) -> None:
    eventually(lambda: ready(own_site))
    with stopped(own_site.process.pid):  # or it would start them again
        _, cluster = web_and_cluster(own_site)
        os.kill(cluster, signal.SIGKILL)
        assert eventually(lambda: not ready(own_site))
    eventually(lambda: ready(own_site))


def test_upkeep_that_stops_makes_it_unready(own_site: Site) -> None:
    eventually(lambda: ready(own_site))
    aged = (
        "from datetime import timedelta; from django.db.models import F; from coordinator.models import LifeSign;"
        "from django_q.models import Schedule; from django.utils import timezone; H = timedelta(hours=1);"
        "Schedule.objects.update(next_run=timezone.now() + H);"
        "LifeSign.objects.get_or_create(pk='upkeep', defaults={'since': timezone.now(), 'at': timezone.now()});"
        "LifeSign.objects.update(since=F('since') - H); LifeSign.objects.filter(pk='upkeep').update(at=F('at') - H)"
    )
    own_site.manage("shell", "-v", "0", "-c", aged)
    status, why = eventually(lambda: not ready(own_site) and probe(own_site, "/readyz"), 5)
    assert status == 503
    assert re.fullmatch(r"Upkeep last ended 36\d\d s ago\.\n", why)


def test_neither_waits_while_all_threads_of_requests_do(own_site: Site) -> None:
    eventually(lambda: ready(own_site))
    with ThreadPoolExecutor(20) as clients, locked(own_site):
        waiting = [clients.submit(add_job, own_site) for _ in range(20)]
        time.sleep(0.5)
        begun = time.monotonic()
        assert [probe(own_site, "/healthz") for _ in range(20)] == [(200, "ok\n")] * 20
        assert probe(own_site, "/readyz") == (200, "ok\n")
        assert time.monotonic() - begun < 1
        assert not any(one.done() for one in waiting)


def test_a_database_that_hangs_is_told_of_within_a_bound_and_holds_up_no_healthz(own_site: Site) -> None:
    """PostgreSQL's processes for this site are stopped; they answer nothing, and close nothing."""
    if "DATABASE_URL" not in own_site.environment:
        pytest.skip("SQLite is a file; no server stands between.")
    eventually(lambda: ready(own_site))
    with psycopg.connect(own_site.environment["DATABASE_URL"]) as eye:
        found = eye.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        backends = [pid for (pid,) in found]
    with ThreadPoolExecutor(20) as clients, stopped(*backends):
        for _ in range(20):  # more than there are threads
            clients.submit(ask, own_site, "GET", "/api/jobs")
        time.sleep(probes.FRESH)
        begun = time.monotonic()
        assert [probe(own_site, "/healthz") for _ in range(20)] == [(200, "ok\n")] * 20
        assert time.monotonic() - begun < 1
        assert probe(own_site, "/readyz") == (503, f"{probes.HANGS}\n")
        assert time.monotonic() - begun < probes.BOUND + 2
        again = time.monotonic()
        assert probe(own_site, "/readyz") == (503, f"{probes.HANGS}\n")
        assert probe(own_site, ENGINE) == (503, DOWN)
        assert time.monotonic() - again < 1
    eventually(lambda: ready(own_site))


def test_a_database_that_is_away_is_told_of_and_so_is_that_it_is_back(own_site: Site) -> None:
    if "DATABASE_URL" not in own_site.environment:
        pytest.skip("SQLite is a file, and here if we are.")
    eventually(lambda: ready(own_site))
    address = urlsplit(own_site.environment["DATABASE_URL"])
    with psycopg.connect(address._replace(path="/postgres").geturl(), autocommit=True) as server:
        name = address.path[1:]
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        told = eventually(lambda: not ready(own_site) and probe(own_site, "/readyz"))
        health = probe(own_site, ENGINE)
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    assert told == (503, f"{probes.AWAY}\n")
    assert health == (503, "Unable to contact Database!")
    eventually(lambda: ready(own_site))


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Within it nobody can write jobs."""
    if "DATABASE_URL" in site.environment:
        with psycopg.connect(site.environment["DATABASE_URL"]) as other:
            other.execute("LOCK TABLE taskmonitor_job IN EXCLUSIVE MODE")
            yield
    else:
        with closing(sqlite3.connect(site.data / "taskmonitor.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield


@pytest.mark.django_db
def test_however_many_ask_the_database_is_looked_at_once_a_second() -> None:
    looks: list[int] = []

    async def thousand() -> list[int]:
        sent: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                sent.append(message["status"])

        asked = Probes(lambda: looks.append(1) or [])  # type: ignore[func-returns-value]
        scope = {"type": "http", "method": "GET", "path": "/readyz", "headers": []}
        await asyncio.gather(*(asked(scope, send) for _ in range(1000)))
        return sent

    assert asyncio.run(thousand()) == [200] * 1000
    assert looks == [1]
