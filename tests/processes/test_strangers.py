"""Clients that nobody knows, and slow ones, hold nobody up and take no memory."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from django.templatetags.static import static

from tests.live import STOP_TIMEOUT, Site
from tests.processes.eyes import memory, web_and_cluster
from tests.processes.http import add_job, answer, ask, connect, head, login_line

LIMIT = 1_000_000
LARGE_FILE = static("admin/js/vendor/xregexp/xregexp.js")
JOB = b"<job><description>Body</description></job>"


def stranger(method: str, path: str, *lines: str) -> bytes:
    """The head of a request that says nothing of who asks."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "\r\n"]).encode()


@contextmanager
def slow_reader(site: Site, request: bytes) -> Iterator[socket.socket]:
    """One that has asked, and has little room for an answer that it does not take."""
    with connect(site, receive_buffer=2048) as connection:
        connection.sendall(request)
        yield connection


def test_trailers_are_no_headers_and_take_no_memory(site: Site) -> None:
    web, _ = web_and_cluster(site)
    chunked = "Transfer-Encoding: chunked"
    with connect(site) as connection:
        connection.sendall(stranger("GET", "/api", chunked) + b"0\r\n" + login_line(site) + b"\r\n\r\n")
        assert answer(connection).status == 401
    before = memory(web)
    with connect(site) as connection:
        connection.sendall(stranger("GET", "/login/", chunked) + b"0\r\n")
        with suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(300):
                connection.sendall(b"a: b\r\n" * 10_000)
            pytest.fail("18 MB of trailers were read")
    assert memory(web) - before < 5_000_000


@pytest.mark.parametrize("offer", ["h2c", "TLS/1.2", "websocket"])
@pytest.mark.parametrize("apart", [False, True])
def test_an_offer_to_upgrade_is_ignored_and_the_body_counts_once(site: Site, offer: str, apart: bool) -> None:
    hidden = head(site, "GET", "/api/capabilities")
    for body, status in ((JOB, 201), (hidden, 400)):
        with connect(site) as connection:
            connection.sendall(
                head(
                    site,
                    "POST",
                    "/api/jobs",
                    f"Content-Length: {len(body)}",
                    "Connection: Upgrade",
                    f"Upgrade: {offer}",
                )
            )
            time.sleep(0.3 if apart else 0)
            connection.sendall(body)
            response = answer(connection)
            assert response.status == status
            response.read()
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)  # what was hidden in the body got no answer of its own


def test_a_request_says_which_host_it_is_for_and_where_its_body_ends(site: Site) -> None:
    both = stranger("POST", "/login/", "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    for request in (b"GET /login/ HTTP/1.1\r\n\r\n", both):
        with connect(site) as connection:
            connection.sendall(request)
            assert answer(connection).status == 400


@pytest.mark.parametrize(("size", "status"), [(60_000, 302), (70_000, 431)])
def test_a_head_has_64_kilobytes_at_most(site: Site, size: int, status: int) -> None:
    with connect(site) as connection:
        connection.sendall(stranger("GET", "/", *[f"X-{n}: {'x' * 950}" for n in range(size // 960)]))
        assert answer(connection).status == status


def test_letters_of_every_script_may_stand_in_an_address_as_they_are(site: Site) -> None:
    add_job(site, "Übertragung")
    with connect(site) as connection:
        request = head(site, "GET", "/api/jobs?search=description%3DÜbertragung")
        connection.sendall(request)
        assert "Übertragung" in answer(connection).read().decode()


def test_who_reads_slowly_holds_up_nobody(site: Site) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(slow_reader(site, stranger("GET", LARGE_FILE)))
        time.sleep(0.5)
        begun = time.monotonic()
        with connect(site) as connection:
            connection.sendall(stranger("GET", LARGE_FILE))
            assert len(answer(connection).read()) > 200_000
        assert ask(site, "GET", "/api/jobs").status == 200
        assert time.monotonic() - begun < 10  # it was a minute


def test_bodies_that_strangers_do_not_end_take_no_room_from_others(site: Site) -> None:
    assert ask(site, "GET", "/api").status == 200  # from now on these credentials are known
    with ExitStack() as stack:
        uploads = [stack.enter_context(connect(site)) for _ in range(40)]
        for upload in uploads:
            upload.sendall(stranger("POST", "/api/jobs", f"Content-Length: {LIMIT}"))
            with suppress(ConnectionResetError, BrokenPipeError):
                upload.sendall(b"x" * (LIMIT - 1))
        time.sleep(0.5)
        large = b"<job><description>Large</description>" + b" " * 900_000 + b"</job>"
        assert ask(site, "POST", "/api/jobs", large).status == 201
        with connect(site) as connection:  # nor from a stranger who ends what it sends
            connection.sendall(stranger("POST", "/api/jobs", f"Content-Length: {len(JOB)}") + JOB)
            assert answer(connection).status == 401
        refusal = answer(uploads[0])
        assert (refusal.status, refusal.headers["Retry-After"]) == (503, "1")


def test_slow_clients_do_not_keep_it_from_stopping(own_site: Site) -> None:
    unread = stranger("GET", LARGE_FILE) * 20
    unfinished = stranger("POST", "/login/", "Content-Length: 10")
    with ExitStack() as stack:
        for request in (unread, unfinished, b"GET / HT", b"", unread):
            stack.enter_context(slow_reader(own_site, request))
        time.sleep(0.5)
        own_site.process.terminate()
        assert own_site.process.wait(STOP_TIMEOUT) == 0, own_site.log
    assert "killed" not in own_site.log
    assert "ERROR" not in own_site.log
