"""What happens to a site whose processes are killed."""

import os
import signal

from tests.live import Site
from tests.processes.eyes import alive, children, descendants, eventually, web_and_cluster
from tests.processes.http import add_job, ask


def test_a_web_server_that_died_is_started_again(own_site: Site) -> None:
    web, cluster = web_and_cluster(own_site)
    job = add_job(own_site)
    for _ in range(2):
        os.kill(web, signal.SIGKILL)
        assert ask(own_site, "GET", f"/api/jobs/{job}").status == 200  # it waits, and is not refused
        dead, (web, same) = web, web_and_cluster(own_site)
        assert web != dead
        assert same == cluster
    assert "The web server ended with -9; it is started again" in own_site.log


def test_a_cluster_that_died_is_started_again_and_leaves_nothing(own_site: Site) -> None:
    web, cluster = web_and_cluster(own_site)
    workers = children(cluster)
    os.kill(cluster, signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in workers))
    same, new = web_and_cluster(own_site)
    assert same == web
    assert new != cluster


TASK = "from django_q.tasks import async_task; async_task('coordinator.schedules.run_upkeep', group='test')"
DONE = "from django_q.models import Success; print(Success.objects.filter(group='test').count())"


def test_a_killed_process_of_a_cluster_holds_no_task_up(own_site: Site) -> None:
    """The tasks that come after it, that is: what it was at is given out again after Q_CLUSTER's `retry`."""
    _, cluster = web_and_cluster(own_site)
    for number in range(len(children(cluster))):  # its workers, monitor and watch
        victim, done = children(cluster)[number], str(number + 1)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda dead=victim: dead not in children(cluster))
        own_site.manage("shell", "-c", TASK)
        eventually(lambda count=done: own_site.manage("shell", "-v", "0", "-c", DONE).strip() == count)


def test_nothing_outlives_the_first_process(own_site: Site) -> None:
    web_and_cluster(own_site)
    processes = descendants(own_site.process.pid)
    own_site.process.kill()
    assert own_site.process.wait(5) == -signal.SIGKILL
    eventually(lambda: not any(alive(pid) for pid in processes))
    own_site.must_end_with = -signal.SIGKILL
