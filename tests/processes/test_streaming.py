"""Answers that are sent while they are made."""

from contextlib import ExitStack

from tests.live import Site
from tests.processes.eyes import eventually, memory, threads, web_and_cluster
from tests.processes.http import add_job, answer, ask, connect, head, log_in

MANY = 20000  # 20 MB
MAKE_MANY = f"""
from uuid import uuid4
from tests.factories import make_job
from taskmonitor.models import Job
job = make_job()
jobs = [Job(**{{f.attname: getattr(job, f.attname) for f in Job._meta.concrete_fields}} | {{"id": uuid4()}}) for _ in range({MANY - 1})]
Job.objects.bulk_create(jobs, batch_size=500)
"""


def test_a_long_list_is_made_as_it_is_read(own_site: Site) -> None:
    own_site.manage("shell", "-c", MAKE_MANY)
    web, _ = web_and_cluster(own_site)
    assert ask(own_site, "GET", "/api/jobs;max=1").status == 200
    before = memory(web)
    with ExitStack() as stack:
        for _ in range(6):  # more than there are threads for this
            slow = stack.enter_context(connect(own_site))
            slow.sendall(head(own_site, "GET", "/api/jobs"))
            assert slow.recv(1)
        add_job(own_site)  # others are served
        assert memory(web) - before < 60_000_000
    whole = ask(own_site, "GET", "/api/jobs")  # those who left hold nothing up
    assert whole.content.count(b"<job ") == MANY + 1  # type: ignore[attr-defined]
    assert "ERROR" not in own_site.log


def test_streams_tell_of_a_change_and_hold_no_thread(site: Site) -> None:
    web, _ = web_and_cluster(site)
    cookie = log_in(site)
    before = threads(web)
    with ExitStack() as stack:
        streams = []
        for _ in range(30):
            connection = stack.enter_context(connect(site))
            connection.sendall(head(site, "GET", "/stream/", cookie))
            streams.append(stack.enter_context(answer(connection)))
        for stream in streams:
            assert stream.readline().startswith(b"id:")
        assert threads(web) <= before + 2
        job = add_job(site).encode()
        for stream in streams:
            while job not in stream.readline():
                pass
    eventually(lambda: threads(web) <= before + 1)
