"""Which Task Monitor this is."""

import re
from pathlib import Path

_PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def _read() -> str:
    """The project's version. A parser of TOML takes longer to load than all settings."""
    found = re.search(r'^version = "(.+)"$', _PROJECT.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{_PROJECT} names no version")
    return found[1]


VERSION = _read()
