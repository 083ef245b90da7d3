"""Requests as a client with its hands on the socket makes them."""

import re
import socket
from base64 import b64encode
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode, urlsplit

from tests.live import Site


def connect(site: Site, timeout: float = 60, receive_buffer: int = 0) -> socket.socket:
    """A connection; `receive_buffer`: the bytes that the system takes for whoever does not read."""
    address = urlsplit(site.url)
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(timeout)
    connection.connect((address.hostname or "", address.port or 0))
    return connection


def login_line(site: Site) -> bytes:
    """The superuser's Authorization."""
    return b"Authorization: Basic " + b64encode(f"{site.username}:{site.password}".encode())


def head(site: Site, method: str, path: str, *lines: str) -> bytes:
    """The head of a request by the superuser."""
    return "\r\n".join(
        [
            f"{method} {path} HTTP/1.1",
            f"Host: {urlsplit(site.url).netloc}",
            login_line(site).decode(),
            "Content-Type: application/xml",
            *lines,
            "\r\n",
        ]
    ).encode()


def answer(connection: socket.socket) -> HTTPResponse:
    response = HTTPResponse(connection)
    response.begin()
    return response


def ask(site: Site, method: str, path: str, body: bytes = b"", *lines: str) -> HTTPResponse:
    """The whole answer to one request."""
    with connect(site) as connection:
        connection.sendall(head(site, method, path, f"Content-Length: {len(body)}", *lines) + body)
        response = HTTPResponse(connection, method=method)
        response.begin()
        response.content = response.read()  # type: ignore[attr-defined]
        return response


def add_job(site: Site, description: str = "Clone web-01") -> str:
    """Its id."""
    added = ask(site, "POST", "/api/jobs", f"<job><description>{description}</description></job>".encode())
    assert added.status == 201, added.status
    return str(added.headers["Location"]).rpartition("/")[2]


def log_in(site: Site) -> str:
    """The Cookie line of a browser that has logged in."""
    with closing(HTTPConnection(urlsplit(site.url).netloc, timeout=60)) as browser:
        browser.request("GET", "/login/")
        page = browser.getresponse()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
        assert token
        cookies = [page.headers["Set-Cookie"].partition(";")[0]]
        form = {"username": site.username, "password": site.password, "csrfmiddlewaretoken": token[1]}
        browser.request(
            "POST",
            "/login/",
            urlencode(form),
            {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies[0]},
        )
        reply = browser.getresponse()
        assert reply.status == 302, reply.status
        cookies += [cookie.partition(";")[0] for cookie in reply.headers.get_all("Set-Cookie", [])]
    return f"Cookie: {'; '.join(cookies)}"
