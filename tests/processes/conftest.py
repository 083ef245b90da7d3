"""A site that a test may treat badly, and eyes on its processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import Site, running_site


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data") as site:
        yield site
