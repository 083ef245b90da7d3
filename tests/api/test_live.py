"""What only a real server on a real port shows: sockets, memory, many clients at once."""

import json
import re
import socket
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.api.test_json import HOSTILE as JSON_HOSTILE
from tests.api.test_xml import HOSTILE as XML_HOSTILE
from tests.live import Site, running_site
from tests.processes.eyes import web_and_cluster
from tests.processes.http import ask, connect, head

JOB = b"<job><description>Clone</description></job>"


class Caller:
    """One connection, kept open, of the superuser."""

    def __init__(self, site: Site) -> None:
        secret = b64encode(f"{site.username}:{site.password}".encode()).decode()
        self.connection = HTTPConnection(urlsplit(site.url).netloc, timeout=60)
        self.headers = {"Authorization": f"Basic {secret}", "Accept": "application/json"}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        text = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        kind = {"Content-Type": "application/json"} if text else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, text, {**self.headers, **kind, **named})
        response = self.connection.getresponse()
        return response.status, response.read()

    def post(self, path: str, body: object) -> dict[str, object]:
        status, told = self.ask("POST", path, body)
        assert status in (200, 201), told
        found: dict[str, object] = json.loads(told)
        return found


@pytest.fixture
def caller(site: Site) -> Iterator[Caller]:
    caller = Caller(site)
    with closing(caller.connection):
        yield caller


@pytest.fixture
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port on which nobody may call, and who called."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                calls.append(address)
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], calls
        over.set()
        thread.join()


def test_no_document_makes_the_server_call_anybody(
    site: Site, listener: tuple[int, list[object]], tmp_path: Path
) -> None:
    """H1."""
    port, calls = listener
    secret = tmp_path / "secret"
    secret.write_text("the contents of a file")
    for text in (
        '<!DOCTYPE job [<!ENTITY x SYSTEM "http://127.0.0.1:{port}/x">]><job><description>&x;</description></job>',
        '<!DOCTYPE job [<!ENTITY x SYSTEM "file://{secret}">]><job><description>&x;</description></job>',
        '<!DOCTYPE job [<!ENTITY % x SYSTEM "http://127.0.0.1:{port}/x"> %x;]><job><description>d</description></job>',
        '<!DOCTYPE job SYSTEM "http://127.0.0.1:{port}/x.dtd"><job><description>d</description></job>',
        '<!DOCTYPE job PUBLIC "x" "http://127.0.0.1:{port}/x.dtd"><job><description>d</description></job>',
        "<!DOCTYPE job><job><description>d</description></job>",
    ):
        response = ask(site, "POST", "/api/jobs", text.format(port=port, secret=secret).encode())
        assert response.status == 400
        assert b"document type" in response.content  # type: ignore[attr-defined]
    for text in (  # well formed without anything being fetched, so they are jobs like others
        '<?xml-stylesheet type="text/xsl" href="http://127.0.0.1:{port}/x"?><job><description>d</description></job>',
        '<job xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="x http://127.0.0.1:{port}/x">'
        "<description>d</description></job>",
        '<job><description>d</description><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" '
        'href="file://{secret}" parse="text"/></job>',
    ):
        response = ask(site, "POST", "/api/jobs", text.format(port=port, secret=secret).encode())
        assert response.status == 201
        assert b"contents of a file" not in response.content  # type: ignore[attr-defined]
    time.sleep(0.2)
    assert calls == []


def test_hostile_bodies_take_no_memory(tmp_path: Path) -> None:
    """H2, H3: each ten times; the web process grows by 10 MB at most, while 38 MB come in.

    It has one thread here, for malloc keeps memory for each, and with 16 it takes long until each has its share.
    """
    bodies = [(text, "application/xml") for text in XML_HOSTILE.values()]
    bodies += [(text, "application/json") for text in JSON_HOSTILE.values()]
    bodies += [(b"\x1f\x8b" + bytes(100_000), kind) for kind in ("application/xml", "application/json")]
    sizes = []
    with running_site(tmp_path, THREADS="1") as site:
        caller = Caller(site)
        with closing(caller.connection):
            for _ in range(12):
                for text, kind in bodies:
                    if text.strip():
                        status, told = caller.ask("POST", "/api/jobs", text, Content_Type=kind)
                        refused = (status, json.loads(told)["reason"])
                        assert refused == (400, "Request syntactically incorrect."), text[:60]
                sizes.append(resident(site))
    assert sizes[-1] - sizes[1] < 10_000, sizes


def resident(site: Site) -> int:
    """The web process's memory in kB."""
    web, _ = web_and_cluster(site)
    lines = Path(f"/proc/{web}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_a_compressed_body_is_not_unpacked(caller: Caller) -> None:
    """H4."""
    status, told = caller.ask("POST", "/api/jobs", b"\x1f\x8b" + bytes(1000), Content_Encoding="gzip")
    assert status == 415
    assert b"uncompressed" in told


def until_closed(site: Site, request: bytes) -> bytes:
    """All that is answered until the server closes the connection, which it may do before it has read all."""
    said = b""
    with connect(site) as connection, suppress(ConnectionError):
        connection.sendall(request)
        while part := connection.recv(65536):
            said += part
    return said


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 43", "Content-Length: 5"),
        ("Content-Length: 43, 43",),
        ("Content-Length: +43",),
        ("Content-Length: -43",),
        ("Content-Length: 4_3",),
        ("Content-Length: 0x2b",),
        ("Content-Length: 99999999999999999999999999",),
        ("Content-Length: ",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        (" Content-Length: 43",),
        ("X-Nul: a\0b", "Content-Length: 43"),
        ("X-Long: " + "x" * 200_000, "Content-Length: 43"),
        ("no colon at all", "Content-Length: 43"),
    ],
    ids=range(17),
)
def test_a_second_request_is_not_smuggled_in(site: Site, lines: tuple[str, ...]) -> None:
    """H4: whoever stands in front may see one request, so the server must not see two."""
    mark = f"smuggled-{uuid4()}"
    hidden = f"<job><description>{mark}</description></job>".encode()
    smuggled = head(site, "POST", "/api/jobs", f"Content-Length: {len(hidden)}") + hidden
    said = until_closed(site, head(site, "POST", "/api/jobs", *lines) + b"0\r\n\r\n" + smuggled)
    assert b" 500 " not in said.partition(b"\r\n")[0]
    found = ask(site, "GET", f"/api/jobs?search=description={mark}")
    assert mark.encode() not in found.content  # type: ignore[attr-defined]
    assert ask(site, "POST", "/api/jobs", JOB).status == 201


@pytest.mark.parametrize(
    "start",
    [
        "GET /api/jobs",
        "GET",
        "",
        "\0",
        "GET /api/jobs HTTP/9.9",
        "GET http://127.0.0.1/api/jobs HTTP/1.1",
        "GET //api/jobs HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT 127.0.0.1:80 HTTP/1.1",
        "GET /api/jobs#x HTTP/1.1",
        "GET /api/jobs?%zz HTTP/1.1",
        "GET /api/%zz%u0041%ff HTTP/1.1",
        "GET /api/\xff\xfe HTTP/1.1",
        "GET /api/jobs?\xff=\xfe HTTP/1.1",
        "GET /api/" + "x" * 100_000 + " HTTP/1.1",
        "G\xc9T /api/jobs HTTP/1.1",
        "GET /api/jobs HTTP/1.1\r\nHost: a\r\nHost: b",
        "GET /api/jobs HTTP/1.1\r\nVersion: 3\r\nVersion: 4",
        "GET /api/jobs HTTP/1.1\r\nAccept: \x80\x81",
        'GET /api/jobs HTTP/1.1\r\nCookie: sessionid="abcdefgh\\000"',
        "PRI * HTTP/2.0",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=range(23),
)
def test_no_start_of_a_request_breaks_the_server(site: Site, start: str) -> None:
    host = "" if "Host:" in start else f"Host: {urlsplit(site.url).netloc}\r\n"
    said = until_closed(site, f"{start}\r\n{host}Connection: close\r\n\r\n".encode("latin-1"))
    assert said[9:10] != b"5", said[:200]
    assert b"Traceback" not in said
    assert ask(site, "GET", "/api/users").status == 200


def test_50_equal_requests_at_once_are_one(site: Site) -> None:
    """Idempotency-Key, over 50 connections."""
    key, mark = str(uuid4()), f"once-{uuid4()}"

    def post(_: int) -> tuple[int, bytes]:
        one = Caller(site)
        with closing(one.connection):
            return one.ask("POST", "/api/jobs", {"description": mark}, Idempotency_Key=key)

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(post, range(50)))
    assert len(answers) == 1
    (status, told) = answers.pop()
    assert status == 201
    found = ask(site, "GET", f"/api/jobs?search=description={mark}", b"", "Accept: application/json")
    assert [job["id"] for job in json.loads(found.content)["job"]] == [json.loads(told)["id"]]  # type: ignore[attr-defined]


def test_32_writers_on_one_job_get_no_server_error(site: Site, caller: Caller) -> None:
    """No "database is locked": whoever waits gets an answer."""
    job = caller.post("/api/jobs", {"description": "Contended"})["href"]
    deadline = time.monotonic() + 4
    statuses: Counter[int] = Counter()

    def work(n: int) -> Counter[int]:
        seen: Counter[int] = Counter()
        one = Caller(site)
        with closing(one.connection):
            while time.monotonic() < deadline:
                status, told = one.ask(
                    "POST", f"{job}/steps", {"description": f"Step of {n}", "type": "executing"}
                )
                seen[status] += 1
                step = json.loads(told)["href"]
                for path, body in (
                    (f"{step}/progress", {"current": 1, "end": 2}),
                    (f"{job}/progress", {"text": f"by {n}"}),
                    (f"{job}/heartbeat", {}),
                    (f"{step}/end", {"succeeded": bool(n % 2)}),
                    (f"{job}/steps", None),
                ):
                    seen[one.ask("POST" if body is not None else "GET", path, body)[0]] += 1
        return seen

    with ThreadPoolExecutor(32) as pool:
        for seen in pool.map(work, range(32)):
            statuses += seen
    assert set(statuses) == {200, 201}
    listed = json.loads(caller.ask("GET", f"{job}/steps")[1])["step"]
    assert [step["number"] for step in listed] == list(range(statuses[201]))
    assert caller.post(f"{job}/end", {})["status"] == "complete"


def test_an_answer_tells_its_request_id_and_nothing_of_the_server(site: Site) -> None:
    response: HTTPResponse = ask(site, "GET", "/api/nothing", b"", "Correlation-Id: night-1")
    assert response.headers["Correlation-Id"] == "night-1"
    assert "Server" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    last = head(site, "GET", "/api/nothing/5", "Connection: close")
    said = until_closed(site, b"".join(head(site, "GET", f"/api/nothing/{n}") for n in range(5)) + last)
    assert re.findall(rb"There is nothing at /api/nothing/(\d)", said) == [b"%d" % n for n in range(6)]
