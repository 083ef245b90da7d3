"""A running site with people on it, and ways for clients to reach it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.factories import PASSWORD
from tests.live import Site

BASES = ["/api", "/ovirt-engine/api", "/ovirt-engine/api/v4"]
HOARD = 1100  # jobs of one user: more than one page of a streamed list
PEOPLE = f"""
from datetime import timedelta
from taskmonitor.models import Job, Role
from tests.factories import NOW, PASSWORD, make_user
users = {{
    name: make_user(name, *roles)
    for name, *roles in (
        ("plugin", Role.INJECTOR), ("rival", Role.INJECTOR), ("watcher", Role.VIEWER), ("guest",), ("hoarder",)
    )
}}
for user in users.values():
    user.set_password(PASSWORD)
    user.save()
def job(owner, number, **fields):
    at = NOW - timedelta(days=1, seconds=number)
    return Job(owner=users[owner], correlation_id="hoard", start_time=at, last_updated=at, last_sign=at, **fields)
Job.objects.bulk_create(job("hoarder", n, description=str(n), external=True) for n in range({HOARD}))
job("plugin", 0, description="the server's own", action_type="CopyImage", external=False).save()
"""
Connect = Callable[..., Any]


@pytest.fixture(scope="session")
def origin(site: Site) -> str:
    """The site's scheme, host and port; plugin and rival may inject, watcher sees all, hoarder has many jobs."""
    site.manage("shell", "-c", PEOPLE)
    return site.url


@pytest.fixture
def login(origin: str) -> dict[str, str]:
    """All that a client is given."""
    return {"url": f"{origin}/ovirt-engine/api", "username": "plugin@internal", "password": PASSWORD}


@pytest.fixture
def connect(origin: str) -> Iterator[Connect]:
    """Connections of the oVirt SDK, given nothing but URL, name and password; closed at the end."""
    from tests.clients.sdk4 import sdk

    with ExitStack() as stack:

        def connect(
            base: str = "/ovirt-engine/api",
            username: str = "plugin@internal",
            password: str = PASSWORD,
            **more: Any,
        ) -> Any:
            connection = sdk.Connection(url=origin + base, username=username, password=password, **more)
            stack.callback(connection.close)
            return connection

        yield connect


@pytest.fixture
def jobs(connect: Connect) -> Any:
    """The jobs, as a plug-in on the SDK has them."""
    return connect().system_service().jobs_service()
