"""Wrong passwords, many at once and from several addresses, against real servers."""

import shutil
import signal
import socket
import subprocess
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Event
from urllib.parse import urlencode, urlsplit

import pytest

from tests.live import Site, running_site, start, wait_for_address
from tests.processes.http import log_in

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"  # all of 127.0.0.0/8 is this machine
SSO = "/ovirt-engine/sso/oauth/token"


def request(
    url: str, method: str, path: str, headers: dict[str, str], body: str | None = None, source: str = HERE
) -> HTTPResponse:
    """The answer, on a connection of its own."""
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=60, source_address=(source, 0))) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        return response


def basic(url: str, name: str, password: str, source: str = HERE) -> HTTPResponse:
    secret = b64encode(f"{name}:{password}".encode()).decode()
    return request(url, "GET", "/api", {"Authorization": f"Basic {secret}"}, source=source)


def sso(url: str, name: str, password: str, source: str = HERE) -> HTTPResponse:
    form = urlencode({"grant_type": "password", "username": name, "password": password})
    return request(url, "POST", SSO, {"Content-Type": "application/x-www-form-urlencoded"}, form, source)


def add_user(site: Site, name: str) -> None:
    """With the superuser's password."""
    make = f"User.objects.create_user({name!r}, password={site.password!r})"
    site.manage("shell", "-v0", "-c", f"from django.contrib.auth.models import User; {make}")


@contextmanager
def attack(url: str, connections: int) -> Iterator[Counter[tuple[int, bool]]]:
    """So many connections try wrong passwords without a pause; how each was answered, and if that had Retry-After."""
    over, answered = Event(), Counter[tuple[int, bool]]()

    def guess(number: int) -> None:
        try_ = sso if number % 3 == 0 else basic
        while not over.is_set():
            response = try_(url, f"name-{number}", "wrong")
            answered[response.status, "Retry-After" in response.headers] += 1

    with ThreadPoolExecutor(connections) as threads:
        running = [threads.submit(guess, number) for number in range(connections)]
        time.sleep(0.5)
        try:
            yield answered
        finally:
            over.set()
    for one in running:
        one.result()


@pytest.mark.parametrize("connections", [12, 100])
def test_wrong_passwords_at_once_hold_nobody_up(own_site: Site, connections: int) -> None:
    """A hundred had held everybody up for 19 seconds, and twelve for one."""
    site = own_site
    add_user(site, "stranger")
    assert basic(site.url, site.username, site.password).status == 200
    session = log_in(site).partition(": ")[2]
    times = []

    def timed(path: str, headers: dict[str, str]) -> None:
        begun = time.monotonic()
        assert request(site.url, "GET", path, headers).status == 200
        times.append(time.monotonic() - begun)

    remembered = b64encode(f"{site.username}:{site.password}".encode()).decode()
    with attack(site.url, connections) as answered:
        begun = time.monotonic()
        stranger = basic(site.url, "stranger", site.password, ELSEWHERE)
        assert stranger.status == 200, "somebody from another address finds a place"
        assert time.monotonic() - begun < 5
        for _ in range(20):
            timed("/api", {"Authorization": f"Basic {remembered}"})
            timed("/jobs/", {"Cookie": session})
    assert sorted(times)[-3] < 1, sorted(times)[-5:]  # of 40; the attacker takes half of the machine
    assert set(answered) <= {(401, False), (400, False), (429, True)}
    assert answered[429, True] > connections
    assert sum(answered.values()) - answered[429, True] < 50


@pytest.mark.parametrize("ask", [basic, sso])
def test_programs_that_begin_at_once_are_all_let_in(
    own_site: Site, ask: Callable[[str, str, str], HTTPResponse]
) -> None:
    """A lane of four places would turn most of them away, and few of them try again."""
    with ThreadPoolExecutor(30) as threads:
        answers = threads.map(lambda _: ask(own_site.url, "admin", own_site.password), range(30))
        assert Counter(one.status for one in answers) == {200: 30}


@contextmanager
def redis(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("There is no redis-server here.")
    with closing(socket.create_server((HERE, 0))) as free:
        port = free.getsockname()[1]
    folder.mkdir()
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", HERE, "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((HERE, port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "Redis does not answer"
                time.sleep(0.05)
        yield f"redis://{HERE}:{port}/0", server
    finally:
        server.kill()
        server.wait()


@contextmanager
def two_web_servers(folder: Path, **environment: str) -> Iterator[tuple[Site, str]]:
    """A site, and the address of a second web server of it."""
    with running_site(folder / "data", **environment) as site:
        second = start(folder / "second", "--only", "web", **site.environment)
        try:
            yield site, wait_for_address(folder / "second", second)
        finally:
            second.terminate()
            second.wait(10)


def fails_together(site: Site, second: str) -> None:
    """Failures at the one count at the other."""
    tried = [basic((site.url, second)[n % 2], "plugin", "wrong").status for n in range(12)]
    assert tried[:10] == [401] * 10
    assert set(tried[10:]) == {429}
    assert [basic(url, "plugin", "wrong", ELSEWHERE).status for url in (site.url, second)] == [401, 401]


def test_web_servers_count_together_in_redis_and_alone_without_it(tmp_path: Path) -> None:
    with (
        redis(tmp_path / "redis") as (url, server),
        two_web_servers(tmp_path, REDIS_URL=url) as (site, second),
    ):
        fails_together(site, second)
        add_user(site, "stranger")
        for harm in (signal.SIGSTOP, signal.SIGKILL):  # it hangs, then it is gone
            server.send_signal(harm)
            for address in (site.url, second):
                begun = time.monotonic()
                assert basic(address, "admin", "wrong").status == 401
                assert basic(address, "admin", site.password, ELSEWHERE).status == 200
                assert sso(address, "stranger", site.password, "127.0.0.3").status == 200
                assert time.monotonic() - begun < 8
        assert "this process counts failed logins alone" in site.log
        assert "Traceback" not in site.log


def test_hosts_without_redis_count_together_in_postgresql(tmp_path: Path) -> None:
    with two_web_servers(tmp_path) as (site, second):
        if "DATABASE_URL" not in site.environment:
            pytest.skip("On SQLite there is one web server.")
        fails_together(site, second)
