"""The built-in command HttpCall, with a real server."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from coordinator.commands import addresses, http_call, web
from coordinator.commands.addresses import is_public
from coordinator.commands.http_call import HttpCall, Outcome
from coordinator.commands.pointer import at
from coordinator.executor import CommandFailed, Handle
from coordinator.models import CommandStatus
from coordinator.registry import register
from coordinator.testing import Worker, crash_everywhere
from taskmonitor.errors import Invalid
from taskmonitor.models import Job, Step
from tests.live import running_site
from tests.processes.eyes import children, eventually, web_and_cluster

register()(HttpCall)


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    gate: threading.Event | None = None
    pause: float = 0


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Service(ThreadingHTTPServer):
    """Answers each path with what it was told, the last of it for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.host = f"localhost:{self.server_port}"

    def says(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return f"http://{self.host}{path}"

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may go away."""


class Handler(BaseHTTPRequestHandler):
    server: Service

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
        answers = self.server.answers[self.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.gate:
            answer.gate.wait(20)
        time.sleep(answer.pause)
        content = answer.raw if answer.raw is not None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 - http.server's names

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    with serving() as service:
        settings.HTTP_HOSTS, settings.HTTP_PRIVATE = [service.host], True
        yield service


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker()


def called(worker: Worker, url: str, **more: Any) -> Handle:
    """A call that was run to its end."""
    handle = worker.submit(HttpCall, url=url, **more)
    worker.run()
    return handle


def failure(worker: Worker, url: str, **more: Any) -> str:
    with pytest.raises(CommandFailed) as raised:
        called(worker, url, **more).result()
    return str(raised.value)


READING = {
    "status": "/state",
    "succeeded": ["done"],
    "failed": ["broken"],
    "reason": "/why",
    "percent": "/percent",
}


def test_what_is_done_with_the_first_answer_ends_with_it(worker: Worker, service: Service) -> None:
    begin = worker.now
    handle = called(
        worker, service.says("/do", Answer(201, {"id": 7})), body={"size": 1}, headers={"X-A": "b"}
    )
    assert handle.result() == Outcome(status=201, body={"id": 7})
    [asked] = service.asked
    assert (asked.method, asked.body) == ("POST", {"size": 1})
    assert asked.headers["Idempotency-Key"] == str(handle.command_id)
    assert asked.headers["Host"] == service.host
    assert (asked.headers["X-A"], asked.headers["Content-Type"]) == ("b", "application/json")
    assert worker.now == begin
    assert Job.objects.get().description == "Call localhost"


def test_what_goes_on_is_asked_for_until_it_ends(worker: Worker, service: Service) -> None:
    url = service.says("/do", Answer(202, headers={"Location": "/status/7"}))
    service.says("/status/7", Answer(202), Answer(202), Answer(200, {"size": 12}))
    handle = called(worker, url)
    assert handle.result() == Outcome(status=200, body={"size": 12})
    assert service.paths() == ["/do", *["/status/7"] * 3]
    assert "Idempotency-Key" not in service.asked[1].headers


def test_the_state_is_read_where_the_caller_says(worker: Worker, service: Service) -> None:
    url = service.says("/do", Answer(200, {"links": [{"href": "/status"}], "state": "new"}))
    service.says("/status", Answer(body={"state": "busy", "percent": 40.5}), Answer(body={"state": "done"}))
    handle = called(worker, url, reading=READING, status_url="/links/0/href")
    assert handle.result() == Outcome(status=200, body={"state": "done"})
    step = Step.objects.get(type="EXECUTING")
    assert (step.progress_current, step.progress_end) == (40, 100)


def test_it_fails_with_the_services_reason(worker: Worker, service: Service) -> None:
    url = service.says("/do", Answer(202, headers={"Location": "/status"}))
    service.says("/status", Answer(body={"state": "broken", "why": "no room"}))
    assert failure(worker, url, reading=READING) == "no room"
    assert failure(worker, service.says("/bad", Answer(400, {"error": "x"}))) == (
        'The service answered 400: {"error": "x"}'
    )
    assert "did not say where" in failure(worker, service.says("/mute", Answer(202)))


@pytest.mark.parametrize(
    ("given", "status", "over"),
    [
        (True, True, True),
        (1, True, False),
        (True, 1, False),
        ("1", 1, False),
        (0, False, False),
        (7, 7, True),
    ],
)
def test_values_are_compared_by_their_type_too(given: Any, status: Any, over: bool) -> None:
    assert http_call._is_one_of(status, [given]) is over


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", {"a/b": [{"c~": 1}]}),
        ("/a~1b/0/c~0", 1),
        ("/a~1b/1", None),
        ("/a~1b/x", None),
        ("/a~1b/0/c~0/d", None),
    ],
)
def test_pointers(pointer: str, found: Any) -> None:
    assert at({"a/b": [{"c~": 1}]}, pointer) == found


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(202, headers={"Retry-After": "60"}), 60),
        (Answer(503, headers={"Retry-After": "60"}), 60),
        (Answer(202, headers={"Retry-After": "99999999999999999999"}), 3600),
        (Answer(202, headers={"Retry-After": "0"}), 1),
        (Answer(202, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), 1),
        (Answer(202, headers={"Retry-After": "soon"}), 1),
    ],
)
def test_it_asks_again_when_the_server_says(
    worker: Worker, service: Service, answer: Answer, seconds: int
) -> None:
    url = service.says("/do", Answer(202, headers={"Location": "/status"}))
    service.says("/status", answer, Answer(200))
    begin = worker.now
    assert called(worker, url).status == CommandStatus.ENDED_SUCCESSFULLY
    assert (worker.now - begin).total_seconds() == pytest.approx(1 + seconds, abs=0.2)  # polls are spread


def test_a_date_is_read_by_the_servers_own_clock(
    worker: Worker, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now() - timedelta(days=400)
    later = format_datetime(now + timedelta(seconds=60))
    monkeypatch.setattr(Handler, "date_time_string", lambda *_: format_datetime(now))
    url = service.says("/do", Answer(202, headers={"Location": "/status", "Retry-After": later}))
    service.says("/status", Answer(200))
    begin = worker.now
    called(worker, url)
    assert (worker.now - begin).total_seconds() == 60


def test_a_service_that_is_away_for_a_while_is_asked_again(worker: Worker, service: Service) -> None:
    url = service.says("/do", Answer(202, headers={"Location": "/status"}))
    service.says("/status", Answer(raw=b"", status=500), Answer(200))
    handle = worker.submit(HttpCall, url=url)
    worker.turn()
    service.shutdown()
    service.server_close()
    worker.turn(2)
    assert "does not answer" in Step.objects.get(type="EXECUTING").progress_text
    assert handle.status == CommandStatus.ACTIVE


def test_one_that_never_ends_fails_after_its_timeout(worker: Worker, service: Service) -> None:
    url = service.says("/do", Answer(202, headers={"Location": "/do"}))
    assert failure(worker, url, timeout=90) == "It was active for longer than 0:01:30."


def test_secrets_are_sent_and_kept_from_everybody_else(
    worker: Worker, service: Service, settings: Any
) -> None:
    with serving() as other:
        settings.HTTP_HOSTS.append(other.host)
        url = service.says("/do", Answer(202, headers={"Location": other.says("/status", Answer(200))}))
        handle = called(worker, url, secret_headers={"Authorization": "Bearer abc"})
        assert handle.status == CommandStatus.ENDED_SUCCESSFULLY
        assert service.asked[0].headers["Authorization"] == "Bearer abc"
        assert "Authorization" not in other.asked[0].headers
        redirected = service.says("/go", Answer(307, headers={"Location": other.says("/do", Answer(200))}))
        called(worker, redirected, secret_headers={"Authorization": "Bearer abc"}, body=[1])
        assert (other.asked[1].method, other.asked[1].body) == ("POST", [1])
        assert "Authorization" not in other.asked[1].headers
    with pytest.raises(Invalid) as refusal:
        worker.submit(HttpCall, url=url, secret_headers={"Authorization": "Bearer\r\nabc"})
    assert "abc" not in str(refusal.value)


def test_redirects_are_followed_to_allowed_hosts_only(worker: Worker, service: Service) -> None:
    there = service.says("/there", Answer(200, "well"))
    assert called(worker, service.says("/a", Answer(302, headers={"Location": there}))).result() == Outcome(
        status=200, body="well"
    )
    assert service.asked[-1].method == "GET"
    for status in (301, 302, 303, 307, 308):
        away = service.says("/b", Answer(status, headers={"Location": "http://example.org/"}))
        assert failure(worker, away) == "example.org:80 is not a host that may be called."
    loop = service.says("/loop", Answer(307, headers={"Location": "/loop"}))
    assert "redirects more than 5 times" in failure(worker, loop)
    for scheme in ("file", "ftp", "gopher", "ldap", "data"):
        for status in (202, 302):
            away = service.says("/c", Answer(status, headers={"Location": f"{scheme}://{service.host}/"}))
            words = f"{scheme} is not called; a URL begins with http:// or https://."
            assert failure(worker, away) == words


def test_a_status_that_points_to_the_result_says_that_it_is_over(worker: Worker, service: Service) -> None:
    url = service.says("/do", Answer(202, headers={"Location": "/status"}))
    service.says("/status", Answer(303, headers={"Location": "/result"}))
    service.says("/result", Answer(200, [1, 2]))
    assert called(worker, url, reading=READING).result() == Outcome(status=200, body=[1, 2])


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"url": "http://example.org/"}, "url"),
        ({"url": "http://localhost:1/"}, "url"),
        ({"url": "ftp://{host}/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "gopher://{host}/"}, "url"),
        ({"url": "//{host}/"}, "url"),
        ({"url": "http://[::1/"}, "url"),
        ({"url": "http://{host}0000/"}, "url"),
        ({"url": "http://user:pass@{host}/"}, "url"),
        ({"url": "http://{host}/\r\nX: y"}, "url"),
        ({"url": "http://{host}/a b"}, "url"),
        ({"url": "http://{host}@example.org/"}, "url"),
        ({"url": "http://{host}/", "headers": {"Host": "x"}}, "headers"),
        ({"url": "http://{host}/", "headers": {"X": "a\r\nb"}}, "parameters.headers.X"),
        ({"url": "http://{host}/", "headers": {"X y": "a"}}, "parameters.headers.X y.[key]"),
        ({"url": "http://{host}/", "method": "CONNECT"}, "parameters.method"),
        ({"url": "http://{host}/", "status_url": "a"}, "parameters.status_url"),
    ],
)
def test_what_is_not_allowed_is_refused(
    worker: Worker, service: Service, parameters: dict[str, Any], field: str
) -> None:
    parameters["url"] = parameters["url"].replace("{host}", service.host)
    with pytest.raises(Invalid) as refusal:
        worker.submit(HttpCall, **parameters)
    assert refusal.value.field == field
    assert not service.asked


def test_private_addresses_are_refused(worker: Worker, service: Service, settings: Any) -> None:
    settings.HTTP_PRIVATE = False
    url = service.says("/do", Answer())
    assert failure(worker, url) == "localhost has no public address, and TASKMONITOR_HTTP_PRIVATE is not set."
    assert not service.asked


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - it is refused
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::5db8:d822",
        "2002:7f00:1::",
        "2002:c0a8:1::1",
        "2001:0:5db8:d822::1",
        "2001::7f00:1",
        "2001:db8::1",
        "3fff::1",
        "::127.0.0.1",
        "::93.184.216.34",
        "::ffff:0:127.0.0.1",
        "::ffff:10.0.0.1",
        "fec0::1",
        "fdff::1",
        "fe80::1",
        "100::1",
        "5f00::1",
        "ff0e::1",
        "2606:2800:220:1::1%eth0",
        "0.1.2.3",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.100",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "239.255.255.250",
        "240.0.0.1",
    ],
)
def test_which_addresses_are_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:5db8:d822", "2002:5db8:d822::1"],
)
def test_which_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(
    worker: Worker, service: Service, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HTTP_HOSTS, settings.HTTP_PRIVATE = [f"rebinding.test:{service.server_port}"], False
    looked_up, connected = [], []
    addresses = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])

    def look_up(name: str, port: int, **_: Any) -> list[Any]:
        looked_up.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses), port))]

    def connect(address: tuple[str, int], *_: Any) -> socket.socket:
        connected.append(address[0])
        raise OSError("nobody is there")

    monkeypatch.setattr(web.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(web.socket, "create_connection", connect)
    service.says("/do", Answer())
    assert "nobody is there" in failure(worker, f"http://rebinding.test:{service.server_port}/do")
    assert (looked_up, connected) == (["rebinding.test"], ["93.184.216.34"])
    assert not service.asked


def test_answers_have_bounds(worker: Worker, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    large = service.says("/large", Answer(raw=b"x" * (web.MOST_BYTES + 1)))
    assert "more than 1000000 bytes" in failure(worker, large)
    monkeypatch.setattr(web, "PATIENCE", 0.2)
    gate = threading.Event()
    silent = service.says("/silent", Answer(gate=gate))
    assert failure(worker, silent) == f"{service.host} does not answer: timed out."
    gate.set()


def test_an_answer_that_is_cut_off_is_none(worker: Worker, service: Service) -> None:
    short = service.says("/short", Answer(raw=b"{}", headers={"Content-Length": "9"}))
    assert "IncompleteRead(2 bytes read, 7 more expected)" in failure(worker, short)


TLS_RECORD = b"\x16\x03\x03\x40\x00"  # of a handshake, 16 KB long
DRIPS = {  # what a server says at once, before it goes on byte by byte for ever
    "in its head": b"HTTP/1.1 200 OK\r\nX: ",
    "before its head": b"",
    "in its body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    "in a body without a length": b"HTTP/1.1 200 OK\r\n\r\n",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    "in its TLS handshake": TLS_RECORD,
}


@contextmanager
def dripping(first: bytes) -> Iterator[int]:
    """A server that never comes to an end, nor reads anything; its port."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(first)
            while not over.wait(0.05):
                connection.sendall(b"1")

    def serve() -> None:
        with suppress(OSError):
            while not over.is_set():
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        over.set()
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("where", DRIPS)
def test_a_server_that_drips_is_not_waited_for(worker: Worker, settings: Any, where: str) -> None:
    scheme = "https" if "TLS" in where else "http"
    with dripping(DRIPS[where]) as port:
        settings.HTTP_HOSTS, settings.HTTP_PRIVATE = [f"localhost:{port}"], True
        begin = time.monotonic()
        words = failure(worker, f"{scheme}://localhost:{port}/", timeout=0.5)
        assert time.monotonic() - begin < 4
    assert words == f"localhost:{port} does not answer: the call was not over after 0.5 s."


def test_a_server_that_takes_nothing_is_not_waited_for(settings: Any) -> None:
    with dripping(b"") as port:
        settings.HTTP_HOSTS, settings.HTTP_PRIVATE = [f"localhost:{port}"], True
        with pytest.raises(web.Unreachable, match=r"the call was not over after 0\.5 s"):
            web.ask(
                "POST",
                f"http://localhost:{port}/",
                headers={},
                secret_headers={},
                body=b"x" * 50_000_000,
                seconds=0.5,
            )


def test_redirects_count_towards_the_same_deadline(service: Service) -> None:
    url = service.says("/loop", Answer(307, headers={"Location": "/loop"}, pause=0.4))
    with pytest.raises(web.Unreachable, match="the call was not over after 1 s"):
        web.ask("GET", url, headers={}, secret_headers={}, seconds=1)
    assert len(service.asked) == 3


def test_a_resolver_that_hangs_is_not_waited_for(
    worker: Worker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HTTP_HOSTS = ["lost.test"]
    monkeypatch.setattr(addresses, "_asking", threading.Semaphore(1))
    answers = threading.Event()
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: answers.wait() and [])
    begin = time.monotonic()
    assert "lost.test was not found within 0.5 s" in failure(worker, "http://lost.test/", timeout=0.5)
    assert "too many other names have no answer yet" in failure(worker, "http://lost.test/", timeout=0.5)
    assert time.monotonic() - begin < 4
    answers.set()
    assert "lost.test has no public address" in failure(worker, "http://lost.test/")


def test_bodies_that_cannot_be_kept_are_kept_as_text(worker: Worker, service: Service) -> None:
    url = service.says("/do", Answer(raw=rb'"\ud800"'), Answer(raw=b"a\0b\xff"), Answer(raw=b""))
    assert [called(worker, url).result() for _ in range(3)] == [
        Outcome(status=200, body=body) for body in ('"\\ud800"', "a\0b\ufffd", None)
    ]


def test_tls_is_checked_by_name(worker: Worker, settings: Any, tmp_path: Path, monkeypatch: Any) -> None:
    if not shutil.which("openssl"):
        pytest.skip("There is no openssl here.")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving() as service:
        service.socket = context.wrap_socket(service.socket, server_side=True)
        port = service.server_port
        settings.HTTP_HOSTS, settings.HTTP_PRIVATE = [f"localhost:{port}", f"127.0.0.1:{port}"], True
        service.says("/do", Answer(200, "safe"))
        assert "CERTIFICATE_VERIFY_FAILED" in failure(worker, f"https://localhost:{port}/do")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        result = called(worker, f"https://localhost:{port}/do").result()
        assert result == Outcome(status=200, body="safe")
        assert "CERTIFICATE_VERIFY_FAILED" in failure(worker, f"https://127.0.0.1:{port}/do")


@pytest.mark.mission("S93")
def test_killed_at_every_commit_a_repeatable_call_ends_well_and_is_known_again(
    db: None, service: Service
) -> None:
    url = service.says("/do", Answer(202, headers={"Location": "/status"}))
    service.says("/status", Answer(202), Answer(200))
    ended: list[Handle] = []
    passed = crash_everywhere(HttpCall, check=ended.append, url=url, repeatable=True)
    keys = [asked.headers["Idempotency-Key"] for asked in service.asked if asked.path == "/do"]
    assert set(keys) == {str(handle.command_id) for handle in ended}
    assert len(keys) == len(passed) + 1 + 1  # one was killed between sending and storing


def test_killed_at_every_commit_another_call_is_sent_once(db: None, service: Service) -> None:
    url = service.says("/do", Answer(200))
    crash_everywhere(HttpCall, url=url)
    keys = [asked.headers["Idempotency-Key"] for asked in service.asked]
    assert len(keys) == len(set(keys))


SUBMIT = """
from django.utils import timezone
from coordinator.executor import execute_async
call = {{"url": {url!r}, "repeatable": {repeatable!r}}}
print(execute_async("HttpCall", call, now=timezone.now()).command_id)
"""
END = """
from uuid import UUID
from coordinator.executor import CommandFailed, Handle
try:
    print(Handle(UUID({command!r})).result(timeout=60).body)
except CommandFailed as error:
    print(error)
"""


@pytest.mark.mission("S93")
@pytest.mark.parametrize(
    ("repeatable", "end"),
    [(True, "well"), (False, "Its process ended with signal 9 (SIGKILL) while it executed.")],
)
def test_a_worker_that_is_killed_while_it_calls(tmp_path: Path, repeatable: bool, end: str) -> None:
    gate = threading.Event()
    with (
        serving() as service,
        running_site(
            tmp_path / "data", TASKMONITOR_HTTP_HOSTS=service.host, TASKMONITOR_HTTP_PRIVATE="1"
        ) as site,
    ):
        url = service.says("/do", Answer(gate=gate), Answer(202, headers={"Location": "/status"}))
        service.says("/status", Answer(202), Answer(200, "well"))
        _, cluster = web_and_cluster(site)
        command = site.manage("shell", "-v", "0", "-c", SUBMIT.format(url=url, repeatable=repeatable)).strip()
        eventually(lambda: service.asked)
        for pid in children(cluster):
            os.kill(pid, signal.SIGKILL)
        gate.set()
        assert site.manage("shell", "-v", "0", "-c", END.format(command=command)).strip() == end
        starts = [asked.headers["Idempotency-Key"] for asked in service.asked if asked.path == "/do"]
        assert starts == [command] * (2 if repeatable else 1)
