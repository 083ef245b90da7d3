"""The site as the documents speak of it."""

import pytest

from tests.factories import PASSWORD
from tests.live import Site

BACKUP = """
from taskmonitor.models import Role
from tests.factories import PASSWORD, make_user
user = make_user("backup", Role.INJECTOR)
user.set_password(PASSWORD)
user.save()
"""


@pytest.fixture(scope="session")
def backup(site: Site) -> dict[str, str]:
    """The name and the password of the plug-in of the documents."""
    site.manage("shell", "-c", BACKUP)
    return {"username": "backup", "password": PASSWORD}
