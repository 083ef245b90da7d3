"""What a job works on, as its plug-in names it."""

import pytest
from django.test import Client

from taskmonitor.models import Entity, Role
from taskmonitor.services.jobs import EntityName
from tests.factories import make_actor, make_job, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.mission("S37")
def test_external_work_needs_no_permission_on_what_it_works_on(client: Client) -> None:
    make_job(make_actor(make_user("owner")), entities=[EntityName("vm", "17", "web-01")])
    plugin = make_user("plugin", Role.INJECTOR)
    assert not [name for name in plugin.get_all_permissions() if "entity" in name]
    client.force_login(plugin)
    body = {"description": "Clone", "entities": [{"type": "vm", "id": "17"}, {"type": "disk", "id": "9"}]}
    answer = client.post("/api/jobs", body, "application/json", headers={"Accept": "application/json"})
    assert answer.status_code == 201
    named = answer.json()["entities"]["entity"]
    assert [(one["type"], one["id"], one["name"]) for one in named] == [
        ("disk", "9", "9"),
        ("vm", "17", "web-01"),
    ]
    assert Entity.objects.get(type="vm").jobs.count() == 2
