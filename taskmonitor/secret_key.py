"""The key that signs sessions: given by the deployment, or kept beside the data."""

import os
from contextlib import suppress
from pathlib import Path

from django.core.management.utils import get_random_secret_key

from taskmonitor.files import new_file

LEAST, LEAST_DIFFERENT = 50, 5  # letters; Django's check security.W009 asks for as many


def refuse_weak_key(key: str) -> None:
    """SystemExit for a key that can be guessed."""
    if _is_weak(key):
        raise SystemExit(
            f"SECRET_KEY is too weak: it needs {LEAST} letters or more, {LEAST_DIFFERENT} of them different"
        )


def kept_key(path: Path) -> str:
    """The key in the file, made at the first start; SystemExit if the file cannot be that."""
    if not path.exists():
        with suppress(FileExistsError), new_file(path) as place:  # of two first starts at once, one key wins
            place.write_text(get_random_secret_key())
    try:
        facts, key = path.stat(), path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, f"cannot be read: {error}") from None
    if facts.st_uid != os.geteuid():
        raise _unusable(path, "belongs to another user, as who Task Monitor may have to be run")
    if facts.st_mode & 0o007:
        raise _unusable(path, "is open to every user of this host (its mode should be 600)")
    if _is_weak(key):
        raise _unusable(path, "is empty or cut off")
    return key


def _unusable(path: Path, why: str) -> SystemExit:
    remedy = "Mend that, or delete it: then a new one is made, and everybody has to log in again."
    return SystemExit(f"The secret key {path} {why}. {remedy}")


def _is_weak(key: str) -> bool:
    return len(key) < LEAST or len(set(key)) < LEAST_DIFFERENT
