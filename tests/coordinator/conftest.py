"""A worker that a test drives by hand, with a clock that it sets."""

import pytest

from coordinator.testing import Worker as Engine
from tests.coordinator.commands import LOG, Polled


@pytest.fixture
def engine(db: None) -> Engine:
    LOG.clear()
    Polled.polls = 0
    return Engine()
