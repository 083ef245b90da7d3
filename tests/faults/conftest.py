"""Sites on which faults are tried. The seed of what is random is printed, so that a failure replays."""

from collections.abc import Iterator

import pytest

from tests.faults.ground import SEED, Ground
from tests.live import own_database


def pytest_report_header() -> str:
    return f"FAULTS_SEED={SEED}"


@pytest.fixture
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A site's place; nothing of it runs yet."""
    with own_database() as database:
        made = Ground(tmp_path_factory.mktemp("faults"), database)
        try:
            yield made
        finally:
            made.remove()
