"""Files that only their owner may read, and that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary path to write a new file at; the file gets its real name when it is complete and on the disk.

    FileExistsError, from here or at the end, if there is one of that name already. The place is in a folder
    of its own, which is deleted in the end with all else in it.
    """
    if path.exists():
        raise FileExistsError(path)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        place = Path(folder, path.name)
        yield place
        place.chmod(0o600)
        to_disk(place)
        path.hardlink_to(place)  # unlike a rename, never over another file
    to_disk(path.parent)


def to_disk(path: Path) -> None:
    """Have a file's content, or a folder's list of names, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
