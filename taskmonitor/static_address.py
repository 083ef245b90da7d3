"""Where browsers find the static files: under a name that changes with their content, so that they may keep them for ever."""

from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("django", "django-htmx")  # whose own static files our pages use


def static_address(folders: Iterable[Path | tuple[str, Path]]) -> str:
    """The folder of all static files, by what lies in `folders` (as STATICFILES_DIRS), and the versions of PACKAGES.

    One name for all of them: what they load from each other is relative, and so of the same version.
    """
    seen = sha256()
    for package in PACKAGES:
        seen.update(f"{package} {version(package)}\n".encode())
    for place in folders:
        folder = place if isinstance(place, Path) else place[1]
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = file.read_bytes()
            seen.update(f"{file.relative_to(folder)} {len(content)}\n".encode() + content)
    return f"static/{seen.hexdigest()[:12]}/"
