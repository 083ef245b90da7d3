"""What `manage.py check` says of an installation, and what holds without what it misses."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from taskmonitor.checks import has_idiomorph

ADDRESS = "idiomorph/idiomorph.esm.js"


@pytest.fixture
def without_npm(settings: Any, tmp_path: Path) -> None:
    settings.IDIOMORPH = tmp_path / "missing"
    settings.STATICFILES_DIRS = [settings.BASE_DIR / "static"]
    finders.get_finder.cache_clear()


def test_what_npm_brings_is_served() -> None:
    finders.get_finder.cache_clear()
    assert finders.find(ADDRESS) == str(settings.IDIOMORPH / "idiomorph.esm.js")
    assert has_idiomorph() == []


@pytest.mark.usefixtures("without_npm")
def test_without_npm_something_simpler_is_served_and_the_check_says_so() -> None:
    assert finders.find(ADDRESS) == str(settings.BASE_DIR / "static" / ADDRESS)
    [warning] = has_idiomorph()
    assert warning.id == "taskmonitor.W001"
    assert "make node_modules/run" in str(warning)
