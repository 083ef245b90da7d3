"""Bodies that are too large, or come in an unusual way."""

import json
import select
from contextlib import ExitStack, suppress

import pytest

from tests.live import Site
from tests.processes.eyes import eventually
from tests.processes.http import add_job, answer, ask, connect, head

LIMIT = 1_000_000


@pytest.mark.parametrize("accept", ["application/xml", "application/json"])
def test_a_body_said_to_be_too_large_is_refused_before_it_comes(site: Site, accept: str) -> None:
    with connect(site) as connection:
        connection.sendall(
            head(site, "POST", "/api/jobs", f"Content-Length: {100 * LIMIT}", f"Accept: {accept}")
        )
        response = answer(connection)
        assert response.status == 413
        assert response.headers["Content-Type"].startswith(accept)
        assert response.headers["Connection"] == "close"
        assert str(LIMIT) in response.read().decode()


def test_a_body_that_does_not_end_is_refused_at_the_limit(site: Site) -> None:
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    with connect(site) as connection:
        connection.sendall(head(site, "POST", "/api/jobs", "Transfer-Encoding: chunked"))
        sent = 0
        with suppress(ConnectionResetError, BrokenPipeError):
            while sent < 100 * LIMIT:
                connection.sendall(chunk)
                sent += len(chunk)
    assert LIMIT < sent < 40 * LIMIT


def test_who_sends_a_little_too_much_can_read_why(site: Site) -> None:
    response = ask(site, "POST", "/api/jobs", b"x" * (3 * LIMIT))
    assert response.status == 413
    assert ask(site, "POST", "/api/jobs", b"x" * LIMIT).status == 400


def test_a_body_in_chunks_is_a_body(site: Site) -> None:
    body = b"<job><description>In chunks</description></job>"
    with connect(site) as connection:
        connection.sendall(head(site, "POST", "/api/jobs", "Transfer-Encoding: chunked"))
        for byte in body:
            connection.sendall(b"1\r\n%c\r\n" % byte)
        connection.sendall(b"0\r\n\r\n")
        response = answer(connection)
        assert response.status == 201
        assert b"In chunks" in response.read()


def test_the_expectation_of_an_old_sdk_is_met(site: Site) -> None:
    body = b"<job><description>Expected</description></job>"
    assert ask(site, "POST", "/api/jobs", body, "Expect: 201-created").status == 201


def test_who_asks_first_is_told_to_go_on_or_not(site: Site) -> None:
    body = b"<job><description>Asked first</description></job>"
    with connect(site) as connection:
        connection.sendall(
            head(site, "POST", "/api/jobs", f"Content-Length: {len(body)}", "Expect: 100-continue")
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert answer(connection).status == 201
    with connect(site) as connection:
        connection.sendall(
            head(site, "POST", "/api/jobs", f"Content-Length: {2 * LIMIT}", "Expect: 100-continue")
        )
        assert answer(connection).status == 413


@pytest.mark.parametrize("query", [b"search=\xff\xfe", b"search=%00"])
def test_bytes_that_are_no_text_are_the_clients_mistake(site: Site, query: bytes) -> None:
    with connect(site) as connection:
        connection.sendall(head(site, "GET", "/api/jobs?QUERY").replace(b"QUERY", query))
        assert answer(connection).status == 400


def test_a_head_has_no_body(site: Site) -> None:
    job = add_job(site)
    with connect(site) as connection:
        connection.sendall(head(site, "HEAD", f"/api/jobs/{job}") + head(site, "GET", f"/api/jobs/{job}"))
        raw = b""
        while not raw.endswith(b"</job>"):
            raw += connection.recv(65536)
        assert raw.count(b"HTTP/1.1 200") == 2
        assert raw.count(b"</job>") == 1


def test_answers_do_not_name_their_server(site: Site) -> None:
    response = ask(site, "GET", "/api", b"", "Accept: application/json")
    assert json.loads(response.content)  # type: ignore[attr-defined]
    assert response.headers["Server"] is None
    assert response.headers["Date"]


def test_many_large_bodies_at_once_are_not_kept_in_memory(site: Site) -> None:
    with ExitStack() as stack:
        uploads = [stack.enter_context(connect(site)) for _ in range(60)]
        for upload in uploads:
            upload.sendall(head(site, "POST", "/api/jobs", f"Content-Length: {LIMIT}"))
            with suppress(ConnectionResetError, BrokenPipeError):
                upload.sendall(b"x" * (LIMIT - 1))
        answered = eventually(lambda: len(ready := select.select(uploads, [], [], 0)[0]) >= 20 and ready)
        assert isinstance(answered, list)
        for refusal in map(answer, answered):
            assert (refusal.status, refusal.headers["Retry-After"]) == (503, "1")
    assert ask(site, "GET", "/api").status == 200


def test_a_head_without_end_is_refused(site: Site) -> None:
    with connect(site) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        with suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(1000):
                connection.sendall(b"x" * 1000)
        with suppress(ConnectionResetError):
            assert answer(connection).status == 431
            return
    assert ask(site, "GET", "/api").status == 200
