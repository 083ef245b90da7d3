"""oVirt's Python SDK, as it comes from PyPI; tests import it from here."""

import os
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip, aloud; in CI fail, for there a client that is not tested is a mistake."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


try:
    import ovirtsdk4 as sdk
    from ovirtsdk4 import types
except ImportError as problem:
    unavailable(f"The oVirt SDK is not installed ({problem}); see requirements-clients.lock.")

__all__ = ["sdk", "types"]
