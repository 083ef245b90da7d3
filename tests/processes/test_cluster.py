"""What the workers do of themselves."""

from tests.live import Site
from tests.processes.eyes import eventually, web_and_cluster

DUE = """
from django.utils import timezone
from django_q.models import Schedule
assert Schedule.objects.filter(name="upkeep").update(next_run=timezone.now()) == 1
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

    assert eventually(result, seconds=40) == "0 lost, 0 cleared, 0 deleted"
