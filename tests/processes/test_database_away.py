"""A database that is away, full, locked or silent: who asks is told so in time, and reads wait for nobody who writes."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.faults.test_postgres import Server, server  # noqa: F401 - a fixture
from tests.live import Site, plug_in, running_site
from tests.processes.eyes import descendants, eventually
from tests.processes.http import add_job, ask, log_in

JOB = b"<job><description>Clone web-01</description></job>"
BROWSER = "Accept: text/html"
HERE, THERE = "10.87.65.1", "10.87.65.2"
ROOM = 3.0  # seconds that a busy machine may add


def timed(call: Callable[[], HTTPResponse]) -> tuple[float, HTTPResponse]:
    begun = time.monotonic()
    answer = call()
    return time.monotonic() - begun, answer


def send(site: Site, path: str, form: dict[str, str], **headers: str) -> HTTPResponse:
    """Post a form as a browser or an SDK does, without a password in its head."""
    with closing(HTTPConnection(urlsplit(site.url).netloc, timeout=60)) as connection:
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        connection.request("POST", path, urlencode(form), kind | headers)
        answer = connection.getresponse()
        answer.content = answer.read()  # type: ignore[attr-defined]
        return answer


def read_by(site: Site, token: str, path: str) -> HTTPResponse:
    with closing(HTTPConnection(urlsplit(site.url).netloc, timeout=60)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        return answer


def login(site: Site) -> HTTPResponse:
    """Log in as oVirt's clients do."""
    form = {"grant_type": "password", "username": site.username, "password": site.password}
    return send(site, "/ovirt-engine/sso/oauth/token", form)


def body(answer: HTTPResponse) -> str:
    content: bytes = answer.content  # type: ignore[attr-defined]
    return content.decode()


def assert_told_everywhere(site: Site, cookie: str) -> None:
    """Each kind of address says that the database is not available, in its own form, and when to come again."""
    page = ask(site, "GET", "/jobs/", b"", cookie, BROWSER)
    assert '<meta http-equiv="refresh" content="10">' in body(page)
    fragment = ask(site, "GET", "/jobs/rows/", b"", cookie, "HX-Request: true", BROWSER)
    stream = ask(site, "GET", "/stream/", b"", cookie, "Accept: text/event-stream")
    for each in (fragment, stream):
        assert "not available" in body(each)
        assert "<" not in body(each)
    tokens = [login(site), send(site, "/ovirt-engine/services/sso-logout", {"token": "tm_x"})]
    for each in tokens:
        assert json.loads(body(each))["error_code"] == "temporarily_unavailable"
    api = ask(site, "GET", "/api/jobs")
    assert "<reason>Database not available</reason>" in body(api)
    for each in (page, fragment, stream, *tokens, api):
        assert each.status == 503
        assert int(each.headers["Retry-After"]) >= 1


def assert_well(site: Site, cookie: str) -> None:
    assert ask(site, "GET", "/jobs/", b"", cookie, BROWSER).status == 200
    assert ask(site, "POST", "/api/jobs", JOB).status == 201


# SQLite


@pytest.fixture
def on_sqlite() -> None:
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        pytest.skip("on SQLite only")


@contextmanager
def held(site: Site) -> Iterator[None]:
    """SQLite's lock of writers, held by a process that is none of ours."""
    other = sqlite3.connect(site.data / "taskmonitor.sqlite3", isolation_level=None, timeout=60)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.usefixtures("on_sqlite")
def test_who_holds_the_lock_of_writers_stops_no_reader_and_all_writers_at_once(own_site: Site) -> None:
    job, cookie = add_job(own_site), log_in(own_site)
    token = json.loads(body(login(own_site)))["access_token"]  # whose first use is to be noted
    with held(own_site), ThreadPoolExecutor(60) as clients:
        writes = [clients.submit(timed, lambda: ask(own_site, "POST", "/api/jobs", JOB)) for _ in range(40)]
        time.sleep(0.5)
        for _ in range(3):
            for read in (
                lambda: ask(own_site, "GET", f"/api/jobs/{job}"),
                lambda: read_by(own_site, token, f"/api/jobs/{job}"),
                lambda: ask(own_site, "GET", "/jobs/", b"", cookie, BROWSER),
            ):
                took, answer = timed(read)
                assert answer.status == 200
                assert took < 1, f"{took:.1f} s"
        answers = [write.result() for write in writes]
    for took, answer in answers:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert took < 5 + ROOM, f"{took:.1f} s"
    assert_well(own_site, cookie)


@pytest.mark.usefixtures("on_sqlite")
def test_workers_outlive_a_lock_that_is_held_for_longer_than_they_wait(tmp_path: Path) -> None:
    path = plug_in(tmp_path / "plug-in", "tests.coordinator.commands")
    run, wait = b"<command><type>Plain</type></command>", ("Prefer: wait=30", "Accept: application/json")
    with running_site(tmp_path / "data", PYTHONPATH=path) as site:
        assert ask(site, "POST", "/api/commands", run, *wait).status == 200
        processes = set(descendants(site.process.pid))
        with held(site):
            time.sleep(25)  # longer than SQLite's 20 s
        assert ask(site, "POST", "/api/commands", run, *wait).status == 200
        assert processes == set(descendants(site.process.pid))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place]).returncode:
        pytest.skip("a file system of one's own can only be mounted by root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(path: Path) -> None:
    """Write until there is no room."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@pytest.mark.usefixtures("on_sqlite")
def test_a_full_disk_is_told_as_what_it_is(small_disk: Path) -> None:
    with running_site(small_disk / "data") as site:
        cookie = log_in(site)
        filler = small_disk / "filler"
        fill(filler)
        added = eventually(
            lambda: answer if (answer := ask(site, "POST", "/api/jobs", JOB)).status != 201 else None
        )
        assert added.status == 503
        assert "Nothing was stored" in body(added)
        with pytest.raises(AssertionError, match="503"):
            log_in(site)
        for words in ("full", "disk"):
            assert words not in body(added)
        assert ask(site, "GET", "/api/jobs").status == 200
        filler.unlink()
        assert_well(site, cookie)


# PostgreSQL


def test_a_database_that_is_stopped_is_told_everywhere(server: Server, tmp_path: Path) -> None:  # noqa: F811
    with running_site(tmp_path / "data", DATABASE_URL=server.url) as site:
        cookie = log_in(site)
        server.control("stop", "-m", "immediate")
        try:
            assert_told_everywhere(site, cookie)
        finally:
            server.control("start")
        eventually(lambda: ask(site, "GET", "/api/jobs").status == 200)
        assert_well(site, cookie)


def test_a_database_that_may_only_be_read_is_told_to_who_writes(server: Server, tmp_path: Path) -> None:  # noqa: F811
    with running_site(tmp_path / "data", DATABASE_URL=server.url) as site:
        cookie = log_in(site)
        server.ask("ALTER DATABASE postgres SET default_transaction_read_only = on")
        server.cut_off()
        added = ask(site, "POST", "/api/jobs", JOB)
        assert (added.status, added.headers["Retry-After"]) == (503, "1")
        assert ask(site, "GET", "/jobs/", b"", cookie, BROWSER).status == 200


def processes(server: Server) -> list[int]:  # noqa: F811
    first = int((server.place / "data" / "postmaster.pid").read_text().split()[0])
    return [first, *descendants(first)]


def read_at_once(site: Site, clients: int) -> None:
    """So that threads of the server have connections to its database."""
    with ThreadPoolExecutor(clients) as at_once:
        answers = list(at_once.map(lambda _: ask(site, "GET", "/api/jobs").status, range(clients)))
    assert set(answers) == {200}


def test_a_database_that_hangs_holds_nobody_for_long(server: Server, tmp_path: Path) -> None:  # noqa: F811
    """Its system still confirms what is sent to it, so that no time-out of a connection counts."""
    url = f"{server.url}?options=-c%20statement_timeout%3D2s"
    with running_site(tmp_path / "data", DATABASE_URL=url) as site:
        cookie = log_in(site)
        read_at_once(site, 20)
        stopped = processes(server)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(100) as clients:
                asked = [clients.submit(timed, lambda: ask(site, "GET", "/api/jobs")) for _ in range(100)]
                answers = [each.result() for each in asked]
            for took, answer in answers:
                assert answer.status == 503
                assert took < 2 + 2 + 5 + ROOM, f"{took:.1f} s"
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        eventually(lambda: ask(site, "GET", "/api/jobs").status == 200)
        assert_well(site, cookie)


def command(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@dataclass
class Network:
    """A network between this host and the database's, which is a namespace of the kernel."""

    name: str

    def swallow(self) -> None:
        """From now on packets vanish; nobody is told."""
        chain = "add chain inet cut input { type filter hook input priority 0 ; policy drop ; }"
        command("ip", "netns", "exec", self.name, "nft", f"add table inet cut ; {chain}")

    def heal(self) -> None:
        command("ip", "netns", "exec", self.name, "nft", "flush ruleset")


@pytest.fixture
def network() -> Iterator[Network]:
    name = f"tm{os.getpid() % 100_000}"
    if os.getuid() or not shutil.which("ip") or not shutil.which("nft"):
        pytest.skip("needs root, ip and nft (Debian: iproute2, nftables)")
    try:
        command("ip", "netns", "add", name)
    except subprocess.CalledProcessError:
        pytest.skip("no network of one's own can be made here")
    try:
        command("ip", "link", "add", f"{name}a", "type", "veth", "peer", f"{name}b", "netns", name)
        for inside, end in (([], "a"), (["ip", "netns", "exec", name], "b")):
            command(
                *inside, "ip", "address", "add", f"{HERE if end == 'a' else THERE}/30", "dev", f"{name}{end}"
            )
            command(*inside, "ip", "link", "set", f"{name}{end}", "up")
        yield Network(name)
    finally:
        command("ip", "link", "delete", f"{name}a")
        command("ip", "netns", "delete", name)


def test_a_network_that_swallows_everything_holds_nobody_for_long(
    server: Server,  # noqa: F811
    network: Network,
    tmp_path: Path,
) -> None:
    server.control("stop", "-m", "fast")
    with (server.place / "data" / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {HERE}/32 trust\n")
    far = replace(server, host=THERE, inside=("ip", "netns", "exec", network.name))
    far.control("start")
    url = f"{far.url}?options=-c%20statement_timeout%3D60s"  # so that it is the connection that is noticed
    with running_site(tmp_path / "data", DATABASE_URL=url) as site:
        cookie = log_in(site)
        add_job(site)
        read_at_once(site, 100)
        with ThreadPoolExecutor(100) as clients:
            network.swallow()
            asked = [clients.submit(timed, lambda: ask(site, "GET", "/api/jobs")) for _ in range(50)]
            asked += [clients.submit(timed, lambda: ask(site, "POST", "/api/jobs", JOB)) for _ in range(50)]
            answers = [each.result() for each in asked]
        for took, answer in answers:
            assert answer.status == 503
            assert took < 5 + 5 + ROOM, f"{took:.1f} s"  # a connection to find dead, and one to make
        network.heal()
        eventually(lambda: ask(site, "GET", "/api/jobs").status == 200)
        assert_well(site, cookie)
