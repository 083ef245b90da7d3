"""What tests of several folders share."""

import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from whitenoise.middleware import WhiteNoiseMiddleware

from tests.factories import forget_failed_logins
from tests.live import Site, running_site


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Begin with a new file: the log of one that was killed would spoil it."""
    from django.conf import settings

    name = str(settings.DATABASES["default"].get("TEST", {}).get("NAME", ""))
    for end in ("", "-wal", "-shm") if name.endswith(".sqlite3") else ():
        Path(name + end).unlink(missing_ok=True)


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_found_once() -> Iterator[None]:
    """Every test client loads the middleware anew, and most of its time would go into looking for these."""
    find, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def find_once(self: WhiteNoiseMiddleware) -> None:
        if not found:
            find(self)
            found.update(self.files)
        self.files.update(found)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


@pytest.fixture(autouse=True)
def _failed_logins_are_forgotten() -> None:
    forget_failed_logins()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running site for the whole session; tests on it make users and jobs of their own."""
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Ansible's oVirt collection, out of the wheel that holds all of Ansible's."""
    from tests.clients.sdk4 import unavailable  # which skips if there is no SDK: the collection needs it

    wheels = sorted(Path(sys.prefix, "share", "collections").glob("ansible-*.whl"))
    if not wheels or not Path(sys.prefix, "bin", "ansible-playbook").exists():
        unavailable("Ansible or its collections are missing; see requirements-clients.lock and tests/run.")
    place = tmp_path_factory.mktemp("collections")
    with ZipFile(wheels[-1]) as wheel:
        ours = [name for name in wheel.namelist() if name.startswith("ansible_collections/ovirt/")]
        wheel.extractall(place, ours)
    return place
