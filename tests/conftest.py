"""What tests of several folders share."""

from collections.abc import Iterator

import pytest

from tests.live import Site, running_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running site for the whole session; tests on it make users and jobs of their own."""
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running
