"""The limits of one connection, shortened: real sockets, and an application that answers at length."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import Server

from taskmonitor.serving import connection as served
from taskmonitor.serving.asgi_types import Receive, Scope, Send
from taskmonitor.serving.server import bind
from taskmonitor.serving.streaming import send_part
from tests.processes.eyes import eventually

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LONG = 2_000_000  # bytes, more than the system keeps for a client


async def long_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send_part(send, b"x" * LONG)
    await send({"type": "http.response.body"})


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with bind("127.0.0.1", 0) as bound:
        http: Any = served.Connection
        config = Config(long_answer, loop="uvloop", http=http, ws="none", lifespan="off", log_config=None)
        server = Server(config)
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        eventually(lambda: server.started)
        yield bound.getsockname()
        server.should_exit = True
        thread.join()


def test_who_takes_nothing_is_dropped(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "TAKEN_IN", 0.5)
    with socket.create_connection(address) as client:
        client.sendall(GET)
        assert eventually(lambda: served._open)
        eventually(lambda: not served._open, 10)
        client.settimeout(10)
        taken = 0
        with suppress(ConnectionResetError):
            while part := client.recv(65536):
                taken += len(part)
        assert taken < LONG


def test_who_takes_a_little_again_and_again_is_served(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "TAKEN_IN", 2)
    with socket.create_connection(address) as client:
        client.sendall(GET)
        taken, begun = 0, time.monotonic()
        while taken < LONG:
            part = client.recv(20_000)
            assert part
            taken += len(part)
            time.sleep(0.03)
        assert time.monotonic() - begun > 2


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", GET[:-1]])
def test_who_does_not_end_a_head_is_told_and_dropped(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(served, "HEAD_TIME", 0.3)
    with socket.create_connection(address, 10) as client:
        client.sendall(said)
        told = client.recv(1000)
        assert told.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nx-content-type-options: nosniff\r\n" in told
        assert client.recv(1) == b""


def test_of_too_many_connections_the_one_that_is_silent_longest_goes(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "MOST", 5)
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(6)]
        with suppress(ConnectionResetError):
            assert clients[0].recv(1) == b""
        clients[5].sendall(GET)
        assert clients[5].recv(1) == b"H"
