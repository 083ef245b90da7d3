"""How a site stops."""

import os
import signal
import time
from contextlib import closing

import pytest

from taskmonitor.serving.supervisor import GRACE
from tests.live import STOP_TIMEOUT, Site
from tests.processes.eyes import alive, descendants, eventually, web_and_cluster
from tests.processes.http import answer, ask, connect, head, log_in


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_it(own_site: Site, number: signal.Signals) -> None:
    web_and_cluster(own_site)
    processes = descendants(own_site.process.pid)
    assert len(processes) == 8  # web, cluster; its watch, monitor, and four workers
    own_site.process.send_signal(number)
    assert own_site.process.wait(STOP_TIMEOUT) == 0, own_site.log
    assert not [pid for pid in processes if alive(pid)]
    assert "Traceback" not in own_site.log
    assert "ERROR" not in own_site.log


def test_a_request_that_runs_is_answered_first(own_site: Site) -> None:
    body = b"<job><description>Copy</description></job>"
    with connect(own_site) as connection:
        connection.sendall(head(own_site, "POST", "/api/jobs", f"Content-Length: {len(body)}"))
        connection.sendall(body[:-1])
        eventually(lambda: ask(own_site, "GET", "/api/jobs").status == 200)
        own_site.process.terminate()
        time.sleep(1)
        connection.sendall(body[-1:])
        assert answer(connection).status == 201
    assert own_site.process.wait(STOP_TIMEOUT) == 0, own_site.log


def test_open_streams_are_ended_well(own_site: Site) -> None:
    cookie = log_in(own_site)
    with connect(own_site) as connection:
        connection.sendall(head(own_site, "GET", "/stream/", cookie))
        stream = answer(connection)
        assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        with closing(stream):
            while stream.readline() != b"event: open\n":
                pass
            own_site.process.terminate()
            stream.read()  # to an end that is marked as one, or it raises
    assert own_site.process.wait(STOP_TIMEOUT) == 0, own_site.log
    assert "ERROR" not in own_site.log


def test_a_second_signal_kills_what_goes_on(own_site: Site) -> None:
    with connect(own_site) as connection:
        connection.sendall(head(own_site, "POST", "/api/jobs", "Content-Length: 10"))
        assert ask(own_site, "GET", "/api/jobs").status == 200
        processes = descendants(own_site.process.pid)
        own_site.process.terminate()
        time.sleep(1)
        assert own_site.process.poll() is None
        own_site.process.terminate()
        assert own_site.process.wait(GRACE / 2) == 1
    assert not [pid for pid in processes if alive(pid)]
    own_site.must_end_with = 1


def test_a_signal_to_every_process_at_once_is_one_signal(own_site: Site) -> None:
    web_and_cluster(own_site)
    for pid in [own_site.process.pid, *descendants(own_site.process.pid)]:
        os.kill(pid, signal.SIGTERM)
    own_site.process.terminate()  # as make does, which had it too
    assert own_site.process.wait(STOP_TIMEOUT) == 0, own_site.log
