"""What the workers do of themselves."""

from pathlib import Path
from urllib.parse import urlsplit

from tests.live import Site
from tests.processes.eyes import eventually, web_and_cluster
from tests.processes.http import ask

DUE = """
from django.utils import timezone
from django_q.models import Schedule
from django_q.scheduler import scheduler
assert Schedule.objects.filter(name="upkeep").update(next_run=timezone.now()) == 1
scheduler()  # which the cluster calls each 30 s
"""
RESULT = """
from django_q.models import Success
print(Success.objects.filter(group="upkeep").values_list("result", flat=True).first() or "")
"""


def test_upkeep_runs_when_it_is_due(own_site: Site) -> None:
    web_and_cluster(own_site)
    own_site.manage("shell", "-c", DUE)

    def result() -> str:
        return own_site.manage("shell", "-v", "0", "-c", RESULT).strip()

    assert eventually(result) == "0 lost, 0 cleared, 0 deleted; 0 commands removed"


STRANGE = """
from django_q.tasks import async_chain, async_task
mark = {mark!r}
async_task("pathlib.Path.write_text", mark, "text")
async_task("os.system", f"touch {{mark}}", hook="os.system")
async_chain([("coordinator.schedules.run_upkeep",), ("os.system", (f"touch {{mark}}",))])
async_task("coordinator.schedules.run_upkeep", group="last")
"""
LAST = RESULT.replace("upkeep", "last")


def test_the_workers_run_no_function_but_those_of_the_register(own_site: Site, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    web_and_cluster(own_site)
    own_site.manage("shell", "-c", STRANGE.format(mark=str(mark)))
    assert eventually(lambda: own_site.manage("shell", "-v", "0", "-c", LAST).strip())
    assert own_site.log.count("A task is dropped, for it is not of the register") == 3
    assert not mark.exists()


def test_a_job_without_a_sign_of_life_is_unknown_within_seconds(site: Site) -> None:
    body = b"<job><description>Silent</description><heartbeat_limit>1</heartbeat_limit></job>"
    place = str(ask(site, "POST", "/api/jobs", body).headers["Location"])
    path = urlsplit(place).path

    def lost() -> bool:
        return b"<status>UNKNOWN</status>" in ask(site, "GET", path).content  # type: ignore[attr-defined]

    assert eventually(lost)
