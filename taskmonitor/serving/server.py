"""The web server: uvicorn with our limits, on a socket that outlives it."""

import asyncio
import os
import resource
import signal
import socket

from uvicorn.config import Config
from uvicorn.server import Server

from taskmonitor.asgi import Application, application
from taskmonitor.serving.connection import HEAD_SIZE, PIECE, TAKEN_IN, Connection, abort_all

SLOW = 5  # seconds in which clients may send the rest of their requests, and take their answers
GRACE = 7  # seconds in which running requests may end
SEND_BUFFER = 131_072  # bytes of an answer that the system keeps for a client that does not take them


class WebServer(Server):
    """Says when it answers, and ends the streams first when it is to stop."""

    def __init__(self, config: Config, application: Application, address: str) -> None:
        super().__init__(config)
        self._application, self._address = application, address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"Task Monitor is at {self._address}", flush=True)  # noqa: T201 - for whoever started it

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.end_streams()
        asyncio.get_running_loop().call_later(SLOW, abort_all)
        await super().shutdown(sockets)


def bind(host: str, port: int) -> socket.socket:
    """A socket with that address; OSError if it cannot be had. Port 0 takes a free one.

    Its options are those of each connection: a client that takes nothing is dropped, whatever it is sent.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKEN_IN * 1000)
    bound.bind(address)
    return bound


def address_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(bound: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn raises again what it has caught
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each open page holds one
    config = Config(
        application,
        loop="uvloop",
        http=Connection,  # type: ignore[arg-type]  # it is a protocol that brings its own buffer
        h11_max_incomplete_event_size=HEAD_SIZE + PIECE,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # it has queries; requests.py has lines of our own
        server_header=False,
        proxy_headers="FORWARDED_ALLOW_IPS" in os.environ,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE,
    )
    WebServer(config, application, address_of(bound)).run([bound])
